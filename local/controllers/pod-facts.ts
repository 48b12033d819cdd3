import type { Pod } from "../../api/core.ts";
import type { KubeObject, OwnerReference } from "../../api/resource.ts";
import { apiVersion, type Kind } from "../../api/resource.ts";

/** Whether the pod counts for its owner: neither over nor on its way out. */
export function isActive(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp === undefined && !isOver(pod);
}

export function isOver({ status }: Pick<Pod, "status">): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

/** Whether its Ready condition is True. */
export function isReady({ status }: Pick<Pod, "status">): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") === true;
}

/**
 * When a ready pod counts as available: ready for `minReadySeconds`.
 *
 * @returns epoch milliseconds; undefined for a pod that is not ready
 */
export function availableAt(pod: Pod, minReadySeconds: number): number | undefined {
  const since = readySince(pod);
  return since === undefined ? undefined : since + minReadySeconds * 1000;
}

/** Since when it has been ready, epoch milliseconds. */
export function readySince(pod: Pod): number | undefined {
  if (!isReady(pod)) return undefined;
  const condition = pod.status?.conditions?.find(({ type }) => type === "Ready");
  return Date.parse(condition?.lastTransitionTime ?? "") || 0;
}

/** The reference by which `owner` controls what it makes. */
export function controllerReference(owner: KubeObject, kind: Kind): OwnerReference {
  const { name, uid = "" } = owner.metadata;
  return {
    apiVersion: apiVersion(kind),
    kind: kind.kind,
    name,
    uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}
