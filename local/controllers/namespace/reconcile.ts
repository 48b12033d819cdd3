import { type Namespace, NamespaceKind, PodKind } from "../../../api/core.ts";
import type { Kind } from "../../../api/resource.ts";
import { isConflict, isNotFound } from "../../../kube/error.ts";
import { resourcePath } from "../../../kube/path.ts";
import { createQueue } from "../../../kube/queue.ts";
import type { Controller, ControllerContext } from "../context.ts";
import { namespacedKinds } from "../kinds.ts";

/** Milliseconds until a namespace whose content has finalizers is looked at again. */
const patience = 1000;

/** Empties namespaces that are being deleted, then lets them go. The caller has started the watches. */
export function startNamespaces({ client, informers, logger, clock }: ControllerContext): Controller {
  const queue = createQueue({ process: reconcile, logger, clock });

  async function reconcile(name: string): Promise<{ after: number } | undefined> {
    const namespace = informers.snapshot().get(NamespaceKind, undefined, name);
    if (!namespace?.metadata.deletionTimestamp) return undefined;
    const kinds = [...(await namespacedKinds(client))].sort((a, b) => rank(a) - rank(b));
    let left = 0;
    for (const kind of kinds) left += await empty(kind, name);
    if (left > 0) return { after: patience };
    await finalize(namespace);
    return undefined;
  }

  /** Deletes what there is of a kind; returns how many objects are still there. */
  async function empty(kind: Kind, namespace: string): Promise<number> {
    const { items } = await client.list(kind, { namespace });
    const fresh = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    if (fresh.length > 0)
      await client.request("DELETE", resourcePath(kind, namespace), { propagationPolicy: "Background" });
    return items.length === 0 ? 0 : (await client.list(kind, { namespace })).items.length;
  }

  async function finalize({ metadata }: Namespace): Promise<void> {
    const current = await client.get(NamespaceKind, undefined, metadata.name);
    if (!current || current.metadata.uid !== metadata.uid) return;
    const body = { ...current, spec: { ...current.spec, finalizers: [] } };
    try {
      await client.request("PUT", `/api/v1/namespaces/${metadata.name}/finalize`, body);
    } catch (error) {
      if (isConflict(error)) queue.add(metadata.name);
      else if (!isNotFound(error)) throw error;
    }
  }

  const stop = [
    informers.onChange(NamespaceKind, ({ object }) => queue.add(object.metadata.name)),
    // Pods take their grace period: the last one to go is waited for, not asked for.
    informers.onChange(PodKind, ({ kind, object }) => {
      const { namespace = "" } = object.metadata;
      const ending = informers.snapshot().get(NamespaceKind, undefined, namespace)
        ?.metadata.deletionTimestamp;
      if (kind === "deleted" && ending !== undefined) queue.add(namespace);
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

/** Owners before what they own, so that nothing is made again meanwhile. */
function rank({ plural }: Kind): number {
  const order = ["deployments", "daemonsets", "replicasets", "pods"];
  const place = order.indexOf(plural);
  return place < 0 ? (plural === "events" ? order.length + 1 : order.length) : place;
}
