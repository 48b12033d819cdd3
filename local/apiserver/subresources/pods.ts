import type { ApiContext, Target, WriteOptions } from "../context.ts";
import { required } from "../field-errors.ts";
import { cloneJson, ensureObject, listAt, objectAt, textAt } from "../json.ts";
import { storeName } from "../resources/resource.ts";
import { scheduledCondition } from "../resources/strategies/pod.ts";
import { conflict, invalid, notFound } from "../status.ts";
import { StaleError } from "../storage/store.ts";
import { deleteObject, readDeleteOptions } from "../verbs/delete.ts";

const success = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 };

/** POST pods/NAME/binding: puts a pod on a node. Throws 409 where it is on one already. */
export async function bind(context: ApiContext, target: Target, body: unknown): Promise<object> {
  const node = textAt(body, "target", "name") ?? "";
  const { resource, namespace, name = "" } = target;
  if (node === "") {
    throw invalid({ group: "", kind: "Binding" }, name, [required("target.name")]);
  }
  for (;;) {
    const stored = context.store.get(storeName(resource), namespace, name)?.object;
    if (stored === undefined) throw notFound(resource, name);
    const taken = textAt(stored, "spec", "nodeName") ?? "";
    if (taken !== "") {
      throw conflict(
        { group: "", plural: "pods/binding" },
        name,
        `pod ${name} is already assigned to node ${JSON.stringify(taken)}`,
      );
    }
    const pod = cloneJson(stored);
    ensureObject(pod, "spec").nodeName = node;
    const status = ensureObject(pod, "status");
    const others = listAt(status, "conditions").filter((item) => textAt(item, "type") !== "PodScheduled");
    status.conditions = [...others, scheduledCondition(context.now())];
    try {
      // Not through the verbs: nobody owns these fields, and the generation stays.
      await context.store.put(storeName(resource), pod, { resourceVersion: stored.metadata.resourceVersion });
      return success;
    } catch (error) {
      if (!(error instanceof StaleError)) throw error;
    }
  }
}

/** POST pods/NAME/eviction: deletes a pod. Disruption budgets are not counted yet. */
export async function evict(
  context: ApiContext,
  target: Target,
  body: unknown,
  options: WriteOptions,
): Promise<object> {
  const { dryRun, ...asked } = readDeleteOptions(objectAt(body, "deleteOptions"), new URLSearchParams());
  await deleteObject(context, { ...target, subresource: undefined }, asked, {
    ...options,
    dryRun: dryRun || options.dryRun,
  });
  return success;
}
