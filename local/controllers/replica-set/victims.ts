import type { Pod } from "../../../api/core.ts";
import { isReady, readySince } from "../pod-facts.ts";

/**
 * The `count` pods whose end does least harm, in the order of Kubernetes' ReplicaSet controller: without a node,
 * Pending, not ready, cheaper by `controller.kubernetes.io/pod-deletion-cost`, ready for a shorter time, restarted
 * more often, younger.
 */
export function chooseVictims(pods: readonly Pod[], count: number): readonly Pod[] {
  return pods
    .map((pod) => ({ pod, rank: rankOf(pod) }))
    .sort((a, b) => compare(a.rank, b.rank) || (a.pod.metadata.name < b.pod.metadata.name ? -1 : 1))
    .slice(0, Math.max(0, count))
    .map(({ pod }) => pod);
}

/** The lower, the sooner it goes. */
function rankOf(pod: Pod): readonly number[] {
  const { metadata, spec, status } = pod;
  const phases = ["Pending", "Unknown", "Running"];
  const restarts = (status?.containerStatuses ?? []).map(({ restartCount }) => restartCount);
  return [
    spec?.nodeName ? 1 : 0,
    phases.indexOf(status?.phase ?? "Pending"),
    isReady(pod) ? 1 : 0,
    Number(metadata.annotations?.["controller.kubernetes.io/pod-deletion-cost"] ?? 0) || 0,
    -(readySince(pod) ?? 0),
    -Math.max(0, ...restarts),
    -(Date.parse(metadata.creationTimestamp ?? "") || 0),
  ];
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
