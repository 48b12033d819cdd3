import { NamespaceKind, ServiceAccountKind } from "../../api/core.ts";
import { isAlreadyExists } from "../../kube/error.ts";
import { createQueue } from "../../kube/queue.ts";
import type { Controller, ControllerContext } from "./context.ts";

/** Gives each namespace its ServiceAccount `default`, again when it is deleted. The caller has started the watches. */
export function startServiceAccounts({ client, informers, logger, clock }: ControllerContext): Controller {
  const queue = createQueue({ process: reconcile, logger, clock });

  async function reconcile(namespace: string): Promise<void> {
    const snapshot = informers.snapshot();
    const found = snapshot.get(NamespaceKind, undefined, namespace);
    if (!found || found.metadata.deletionTimestamp !== undefined) return;
    if (snapshot.get(ServiceAccountKind, namespace, "default")) return;
    try {
      await client.create(ServiceAccountKind, {
        apiVersion: "v1",
        kind: "ServiceAccount",
        metadata: { namespace, name: "default" },
      });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }

  const stop = [
    informers.onChange(NamespaceKind, ({ object }) => queue.add(object.metadata.name)),
    informers.onChange(ServiceAccountKind, ({ kind, object }) => {
      if (kind === "deleted" && object.metadata.namespace !== undefined) queue.add(object.metadata.namespace);
    }),
  ];
  for (const { metadata } of informers.snapshot().list(NamespaceKind)) queue.add(metadata.name);

  return {
    async close() {
      for (const end of stop) end();
      await queue.close();
    },
  };
}
