import type { ApiContext } from "../context.ts";
import { cloneJson } from "../json.ts";
import type { ApiObject } from "../object.ts";
import type { Change } from "../storage/history.ts";
import { createObject } from "../verbs/create.ts";
import { deleteObject } from "../verbs/delete.ts";
import { inBackground, internalWrite, targetOf, targetOfObject } from "./internal.ts";

const first = ["default", "kube-system", "kube-public", "kube-node-lease"];

/**
 * Gives every namespace its `default` service account and `kube-root-ca.crt`, and empties a namespace
 * that is being deleted. `ca` is the PEM that goes into that ConfigMap.
 */
export function keepNamespaces(context: ApiContext, ca: string): void {
  const furnish = (namespace: string) =>
    inBackground(context, "furnish a namespace", () => furnishNamespace(context, namespace, ca));
  const empty = (namespace: string) =>
    inBackground(context, "empty a namespace", () => emptyNamespace(context, namespace));
  for (const { object } of context.store.list("namespaces")) {
    if (object.metadata.deletionTimestamp === undefined) furnish(object.metadata.name);
    else empty(object.metadata.name);
  }
  context.store.onChange(({ type, resource, object }: Change) => {
    const { name, namespace, deletionTimestamp } = object.metadata;
    if (resource === "namespaces") {
      if (type === "ADDED") furnish(name);
      else if (type === "MODIFIED" && deletionTimestamp !== undefined) empty(name);
    } else if (namespace !== undefined && type === "DELETED") {
      if (isTerminating(context, namespace)) empty(namespace);
      else if (resource === "serviceaccounts" && name === "default") furnish(namespace);
    }
  });
}

/** Makes the namespaces that every cluster has, with what belongs into them. */
export async function createFirstNamespaces(context: ApiContext, ca: string): Promise<void> {
  for (const name of first) {
    const target = targetOf(context, "namespaces", undefined, name);
    if (target === undefined || context.store.get("namespaces", undefined, name) !== undefined) continue;
    await createObject(context, target, { metadata: { name } }, internalWrite());
    await furnishNamespace(context, name, ca);
  }
}

function isTerminating(context: ApiContext, namespace: string): boolean {
  return (
    context.store.get("namespaces", undefined, namespace)?.object.metadata.deletionTimestamp !== undefined
  );
}

async function furnishNamespace(context: ApiContext, namespace: string, ca: string): Promise<void> {
  if (isTerminating(context, namespace)) return;
  await createMissing(context, "serviceaccounts", namespace, { metadata: { name: "default" } });
  await createMissing(context, "configmaps", namespace, {
    metadata: {
      name: "kube-root-ca.crt",
      annotations: {
        "kubernetes.io/description":
          "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
      },
    },
    data: { "ca.crt": ca },
  });
}

async function createMissing(
  context: ApiContext,
  resource: string,
  namespace: string,
  body: { metadata: { name: string; annotations?: Record<string, string> }; data?: Record<string, string> },
): Promise<void> {
  const target = targetOf(context, resource, namespace, body.metadata.name);
  if (target === undefined || context.store.get(resource, namespace, body.metadata.name) !== undefined)
    return;
  await createObject(context, target, body, internalWrite());
}

async function emptyNamespace(context: ApiContext, namespace: string): Promise<void> {
  let left = 0;
  for (const resource of context.store.resources()) {
    if (context.registry.named(resource)?.namespaced !== true) continue;
    for (const { object } of context.store.list(resource, namespace)) {
      left++;
      const target = targetOfObject(context, resource, object);
      if (target === undefined || object.metadata.deletionTimestamp !== undefined) continue;
      if ((await deleteObject(context, target, { propagationPolicy: "Background" }, internalWrite())).gone)
        left--;
    }
  }
  if (left === 0) await removeNamespace(context, namespace);
}

async function removeNamespace(context: ApiContext, name: string): Promise<void> {
  const stored = context.store.get("namespaces", undefined, name)?.object;
  if (stored?.metadata.deletionTimestamp === undefined) return;
  const expected = { resourceVersion: stored.metadata.resourceVersion };
  const object: ApiObject = { ...cloneJson(stored), spec: {} };
  if ((stored.metadata.finalizers ?? []).length === 0)
    await context.store.remove("namespaces", object, expected);
  else if (JSON.stringify(stored.spec) !== "{}") await context.store.put("namespaces", object, expected);
}
