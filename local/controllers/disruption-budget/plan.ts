import type { Pod, PodDisruptionBudget } from "../../../api/core.ts";
import { isOver, isReady } from "../pod-facts.ts";

/** A pod's controller, by uid, and how many pods it wants. */
export interface Owner {
  readonly uid: string;
  readonly replicas: number;
}

export interface DisruptionBudgetInput {
  readonly budget: PodDisruptionBudget;
  /** Those that its selector picks. */
  readonly pods: readonly Pod[];
  /** Undefined where a pod has no controller whose scale is known. */
  readonly ownerOf: (pod: Pod) => Owner | undefined;
}

/** What a budget allows now, or why it cannot be told. */
export type DisruptionBudgetPlan =
  | { readonly kind: "counted"; readonly counts: DisruptionCounts }
  | { readonly kind: "failed"; readonly message: string };

export interface DisruptionCounts {
  readonly currentHealthy: number;
  readonly desiredHealthy: number;
  readonly expectedPods: number;
  readonly disruptionsAllowed: number;
}

/**
 * Counts what a PodDisruptionBudget allows.
 *
 * A percentage, and maxUnavailable, are of the pods that the controllers want; a plain minAvailable of those there are.
 * @see getExpectedPodCount of kube-controller-manager's disruption controller
 */
export function planDisruptionBudget({ budget, pods, ownerOf }: DisruptionBudgetInput): DisruptionBudgetPlan {
  const { minAvailable, maxUnavailable } = budget.spec ?? {};
  const staying = pods.filter((pod) => pod.metadata.deletionTimestamp === undefined);
  const currentHealthy = staying.filter(isReady).length;
  const expected = expectedPods();
  if (typeof expected === "string") return { kind: "failed", message: expected };
  const desiredHealthy =
    maxUnavailable === undefined
      ? countOf(minAvailable ?? 1, expected)
      : Math.max(0, expected - countOf(maxUnavailable, expected));
  const allowed = expected === 0 ? 0 : Math.max(0, currentHealthy - desiredHealthy);
  const counts = { currentHealthy, desiredHealthy, expectedPods: expected, disruptionsAllowed: allowed };
  return { kind: "counted", counts };

  function expectedPods(): number | string {
    const active = pods.filter((pod) => !isOver(pod));
    if (maxUnavailable === undefined && !isPercentage(minAvailable)) return active.length;
    const owners = new Map<string, number>();
    for (const pod of active) {
      const owner = ownerOf(pod);
      if (!owner) return `found no controller ref for pod "${pod.metadata.name}"`;
      owners.set(owner.uid, owner.replicas);
    }
    return [...owners.values()].reduce((total, replicas) => total + replicas, 0);
  }
}

function isPercentage(value: unknown): boolean {
  return typeof value === "string" && value.endsWith("%");
}

/** A percentage is rounded up, for both fields, as in Kubernetes. */
function countOf(value: unknown, total: number): number {
  const text = String(value);
  return isPercentage(value) ? Math.ceil((Number(text.slice(0, -1)) * total) / 100) : Number(text) || 0;
}
