import type { ApiContext, Target, WriteOptions } from "../context.ts";
import { ensureObject, listAt, textAt } from "../json.ts";
import { scheduledCondition } from "../resources/strategies/pod.ts";
import { badRequest, conflict } from "../status.ts";
import { deleteObject, readDeleteOptions } from "../verbs/delete.ts";
import { updateObject } from "../verbs/update.ts";

const success = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 };

/** POST pods/NAME/binding: puts a pod on a node. Throws 409 where it is on one already. */
export async function bind(
  context: ApiContext,
  target: Target,
  body: unknown,
  options: WriteOptions,
): Promise<object> {
  const node = textAt(body, "target", "name") ?? "";
  if (node === "") throw badRequest("target.name: Required value");
  const pod: Target = { ...target, subresource: undefined };
  await updateObject(
    context,
    pod,
    (current) => {
      const spec = ensureObject(current, "spec");
      if (typeof spec.nodeName === "string" && spec.nodeName !== "") {
        throw conflict(
          target.resource,
          current.metadata.name,
          `pod ${current.metadata.name} is already assigned to node ${JSON.stringify(spec.nodeName)}`,
        );
      }
      spec.nodeName = node;
      return current;
    },
    options,
  );
  await updateObject(
    context,
    { ...target, subresource: "status" },
    (current) => {
      const status = ensureObject(current, "status");
      const others = listAt(status, "conditions").filter((item) => textAt(item, "type") !== "PodScheduled");
      status.conditions = [...others, scheduledCondition(context.now())];
      return current;
    },
    options,
  );
  return success;
}

/** POST pods/NAME/eviction: deletes a pod. Disruption budgets are not counted yet. */
export async function evict(
  context: ApiContext,
  target: Target,
  body: unknown,
  options: WriteOptions,
): Promise<object> {
  const { dryRun, ...asked } = readDeleteOptions(body, new URLSearchParams());
  await deleteObject(context, { ...target, subresource: undefined }, asked, {
    ...options,
    dryRun: dryRun || options.dryRun,
  });
  return success;
}
