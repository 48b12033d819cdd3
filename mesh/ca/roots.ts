import { type ConfigMap, ConfigMapKind, NamespaceKind } from "../../api/core.ts";
import type { Client, Informers } from "../../kube/contract.ts";
import { isAlreadyExists, isNotFound } from "../../kube/error.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";

/** Istio's name: mounted by every sidecar as volume `istiod-ca-cert`. */
export const rootConfigMap = "istio-ca-root-cert";
export const rootFile = "root-cert.pem";

/**
 * Keeps ConfigMap `istio-ca-root-cert` in every namespace, and puts it right when somebody changes or deletes it.
 *
 * Resolves when the namespaces that exist now have it, or failed once; failures are tried again.
 */
export async function publishRoots({
  client,
  informers,
  logger,
  clock,
  rootPem,
}: {
  readonly client: Client;
  readonly informers: Informers;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly rootPem: string;
}): Promise<{ readonly close: () => void }> {
  const retries = new Map<string, () => void>();
  let closed = false;

  const publish = async (namespace: string, attempt = 0): Promise<void> => {
    retries.get(namespace)?.();
    retries.delete(namespace);
    if (closed || !wants(informers, namespace)) return;
    try {
      await writeRoot(client, informers, namespace, rootPem);
    } catch (error) {
      logger.warn({ err: error, namespace }, "the root certificate was not published, trying again");
      const delay = Math.min(500 * 2 ** attempt, 60_000);
      retries.set(
        namespace,
        clock.after(delay, () => void publish(namespace, attempt + 1)),
      );
    }
  };

  await informers.watch(NamespaceKind, ConfigMapKind);
  const removers = [
    informers.onChange(NamespaceKind, ({ kind, object }) => {
      if (kind === "added") void publish(object.metadata.name);
    }),
    informers.onChange(ConfigMapKind, ({ object }) => {
      const { name, namespace } = object.metadata;
      if (name === rootConfigMap && namespace !== undefined) void publish(namespace);
    }),
  ];
  await Promise.all(
    informers
      .snapshot()
      .list(NamespaceKind)
      .map(({ metadata }) => publish(metadata.name)),
  );
  return {
    close: () => {
      closed = true;
      for (const remove of removers) remove();
      for (const cancel of retries.values()) cancel();
    },
  };
}

/** A namespace that is being deleted accepts nothing new. */
function wants(informers: Informers, name: string): boolean {
  const namespace = informers.snapshot().get(NamespaceKind, undefined, name);
  return namespace !== undefined && namespace.metadata.deletionTimestamp === undefined;
}

async function writeRoot(
  client: Client,
  informers: Informers,
  namespace: string,
  rootPem: string,
): Promise<void> {
  const current = informers.snapshot().get(ConfigMapKind, namespace, rootConfigMap);
  if (current?.data?.[rootFile] === rootPem) return;
  if (!current) {
    try {
      await client.create(ConfigMapKind, rootIn(namespace, rootPem));
      return;
    } catch (error) {
      // without the ConfigMap in the snapshot yet, or with the namespace just gone
      if (isNotFound(error)) return;
      if (!isAlreadyExists(error)) throw error;
    }
  }
  await client.patch(ConfigMapKind, namespace, rootConfigMap, {
    kind: "merge",
    body: { data: { [rootFile]: rootPem } },
  });
}

function rootIn(namespace: string, rootPem: string): ConfigMap {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: rootConfigMap, namespace, labels: { "istio.io/config": "true" } },
    data: { [rootFile]: rootPem },
  };
}
