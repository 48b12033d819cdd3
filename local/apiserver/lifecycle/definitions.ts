import type { ApiContext } from "../context.ts";
import { cloneJson } from "../json.ts";
import type { Change } from "../storage/history.ts";
import { deleteObject } from "../verbs/delete.ts";
import { inBackground, internalWrite, targetOfObject } from "./internal.ts";

const definitions = "customresourcedefinitions.apiextensions.k8s.io";
const cleanup = "customresourcecleanup.apiextensions.k8s.io";

/** Serves what the stored CRDs describe, and removes the objects of a CRD that is being deleted. */
export function keepDefinitions(context: ApiContext): void {
  const { store, registry } = context;
  for (const { object } of store.list(definitions)) registry.define(object);
  const clean = (name: string) =>
    inBackground(context, "remove a custom resource's objects", () => removeInstances(context, name));
  for (const { object } of store.list(definitions))
    if (object.metadata.deletionTimestamp !== undefined) clean(object.metadata.name);
  store.onChange(({ type, resource, object }: Change) => {
    if (resource === definitions) {
      if (type === "DELETED") registry.undefine(object);
      else registry.define(object);
      if (type === "MODIFIED" && object.metadata.deletionTimestamp !== undefined) clean(object.metadata.name);
    } else if (
      type === "DELETED" &&
      store.get(definitions, undefined, resource)?.object.metadata.deletionTimestamp !== undefined
    ) {
      clean(resource);
    }
  });
}

async function removeInstances(context: ApiContext, name: string): Promise<void> {
  let left = 0;
  for (const { object } of context.store.list(name)) {
    left++;
    const target = targetOfObject(context, name, object);
    if (target === undefined || object.metadata.deletionTimestamp !== undefined) continue;
    if ((await deleteObject(context, target, {}, internalWrite())).gone) left--;
  }
  const stored = context.store.get(definitions, undefined, name)?.object;
  if (left > 0 || stored?.metadata.deletionTimestamp === undefined) return;
  const object = cloneJson(stored);
  object.metadata.finalizers = (object.metadata.finalizers ?? []).filter(
    (finalizer) => finalizer !== cleanup,
  );
  const expected = { resourceVersion: stored.metadata.resourceVersion };
  if (object.metadata.finalizers.length === 0) await context.store.remove(definitions, object, expected);
  else if (object.metadata.finalizers.length !== stored.metadata.finalizers?.length)
    await context.store.put(definitions, object, expected);
}
