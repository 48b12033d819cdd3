import { availableAt, isReady } from "../pod-facts.ts";
import { revisionLabel } from "../revision-history.ts";
import type { StatefulSetInput } from "./plan.ts";

export interface StatefulSetCounts {
  readonly observedGeneration: number;
  readonly replicas: number;
  readonly readyReplicas: number;
  readonly availableReplicas: number;
  readonly currentReplicas: number;
  readonly updatedReplicas: number;
  readonly currentRevision: string;
  readonly updateRevision: string;
  readonly collisionCount: number;
}

/** The counts of a StatefulSet's status; a finished update makes its revision the current one. */
export function statefulSetCounts(input: StatefulSetInput): StatefulSetCounts {
  const { set, pods, currentRevision, updateRevision, now } = input;
  const { replicas: wanted = 1, minReadySeconds = 0, updateStrategy } = set.spec ?? {};
  const created = pods.filter(({ status }) => status?.phase !== undefined);
  const staying = created.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const ofRevision = (revision: string) =>
    staying.filter(({ metadata }) => metadata.labels?.[revisionLabel] === revision).length;
  const readyReplicas = created.filter((pod) => pod.status?.phase === "Running" && isReady(pod)).length;
  const availableReplicas = created.filter((pod) => {
    const at = availableAt(pod, minReadySeconds);
    return pod.status?.phase === "Running" && at !== undefined && at <= now;
  }).length;
  const updatedReplicas = ofRevision(updateRevision);
  const complete =
    updateStrategy?.type !== "OnDelete" &&
    [updatedReplicas, readyReplicas, created.length].every((count) => count === wanted);
  return {
    observedGeneration: set.metadata.generation ?? 0,
    replicas: created.length,
    readyReplicas,
    availableReplicas,
    currentReplicas: complete ? updatedReplicas : ofRevision(currentRevision),
    updatedReplicas,
    currentRevision: complete ? updateRevision : currentRevision,
    updateRevision,
    collisionCount: set.status?.collisionCount ?? 0,
  };
}
