import type { Pod, ReplicaSet } from "../../../api/core.ts";
import { availableAt, isActive, isReady } from "../pod-facts.ts";
import { matchesLabels } from "../selector.ts";
import { chooseVictims } from "./victims.ts";

export interface ReplicaSetPlan {
  /** How many pods to make. */
  readonly create: number;
  readonly remove: readonly Pod[];
  readonly status: ReplicaSetCounts;
  /** When a ready pod becomes available by time alone, epoch milliseconds. */
  readonly recheckAt?: number;
}

export interface ReplicaSetCounts {
  readonly replicas: number;
  readonly fullyLabeledReplicas: number;
  readonly readyReplicas: number;
  readonly availableReplicas: number;
  readonly observedGeneration: number;
}

/** What a ReplicaSet needs, given the pods that it owns. */
export function planReplicaSet(replicaSet: ReplicaSet, owned: readonly Pod[], now: number): ReplicaSetPlan {
  const { replicas = 1, minReadySeconds = 0, template } = replicaSet.spec ?? {};
  const active = owned.filter(isActive);
  const available = active.map((pod) => availableAt(pod, minReadySeconds)).filter((at) => at !== undefined);
  const later = available.filter((at) => at > now);
  const deleting = replicaSet.metadata.deletionTimestamp !== undefined;
  const missing = deleting ? 0 : replicas - active.length;
  return {
    create: Math.max(0, missing),
    remove: chooseVictims(active, -missing),
    status: {
      replicas: active.length,
      fullyLabeledReplicas: active.filter(({ metadata }) =>
        matchesLabels(template?.metadata?.labels ?? {}, metadata.labels ?? {}),
      ).length,
      readyReplicas: active.filter(isReady).length,
      availableReplicas: available.length - later.length,
      observedGeneration: replicaSet.metadata.generation ?? 0,
    },
    ...(later.length > 0 ? { recheckAt: Math.min(...later) } : {}),
  };
}
