import type { ReadCanary } from "../../../api/canary/types.ts";
import type { Canary } from "../../../api/kinds.ts";
import { type Problem, refOf, type UnreadObject } from "../../../api/resource.ts";
import { isObject } from "../../../api/schema/prepare.ts";

/**
 * Other Canaries that stand in this one's way: one with the same target is an error, as both would scale it and write
 * its routes. Where this Canary had that target before, it is a warning: it is no new conflict.
 */
export function findConflicts(
  canary: ReadCanary,
  old: UnreadObject | undefined,
  others: readonly Canary[],
): Problem[] {
  const neighbours = others.filter(
    ({ metadata }) =>
      (metadata.namespace ?? "default") === canary.namespace &&
      metadata.name !== canary.name &&
      metadata.deletionTimestamp === undefined,
  );
  return [...sameTarget(canary, old, neighbours), ...sameService(canary, neighbours)];
}

function sameTarget(
  { object, target, namespace }: ReadCanary,
  old: UnreadObject | undefined,
  neighbours: readonly Canary[],
): Problem[] {
  const twin = neighbours.find(
    ({ spec }) => spec.targetRef.kind === target.kind && spec.targetRef.name === target.name,
  );
  if (!twin) return [];
  const message = `is ${target.kind} \`${target.name}\`, which Canary \`${namespace}/${twin.metadata.name}\` already releases: delete one of them`;
  const problem: Problem = { resource: refOf(object), field: "/spec/targetRef", message };
  return [hadTarget(old, target.name) ? { ...problem, severity: "warning" } : problem];
}

function hadTarget(old: UnreadObject | undefined, name: string): boolean {
  const spec = old?.spec;
  return isObject(spec) && isObject(spec.targetRef) && spec.targetRef.name === name;
}

/** Two Canaries that generate the same Service overwrite each other's routes; Flagger lets them, so it is a warning. */
function sameService(
  { object, service, names, target }: ReadCanary,
  neighbours: readonly Canary[],
): Problem[] {
  const twin = neighbours.find(
    ({ spec }) =>
      spec.targetRef.name !== target.name &&
      (spec.service?.name || spec.targetRef.name) === names.apexService,
  );
  if (!twin) return [];
  const message = `is \`${service.name}\`, the Service that Canary \`${twin.metadata.name}\` generates too`;
  return [{ resource: refOf(object), field: "/spec/service/name", message, severity: "warning" }];
}
