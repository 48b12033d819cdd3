import type { KubeObject } from "../../api/resource.ts";
import type { Change } from "../../kube/contract.ts";

/**
 * Milliseconds in which what follows from one act is looked at together: a pod is made, started and ready in a few of
 * them, and a status written for each of these would cost more than all the rest.
 */
export const together = 20;

/** Whether a change of the owner is only about what it says of itself, as a status that the controller itself wrote. */
export function asksNothingNew<T extends KubeObject>(change: Change<T>): boolean {
  if (change.kind !== "modified") return false;
  const { metadata: now } = change.object;
  const { metadata: before } = change.before;
  return now.generation === before.generation && now.deletionTimestamp === before.deletionTimestamp;
}
