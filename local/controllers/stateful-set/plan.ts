import type { Pod, StatefulSet } from "../../../api/core.ts";
import { availableAt, isOver } from "../pod-facts.ts";
import { revisionLabel } from "../revision-history.ts";
import { ordinalOf } from "./pod.ts";
import { type StatefulSetCounts, statefulSetCounts } from "./status.ts";

export interface StatefulSetInput {
  readonly set: StatefulSet;
  /** Those that it controls. */
  readonly pods: readonly Pod[];
  /** Names of the revisions: what runs while an update goes on, and what it goes to. */
  readonly currentRevision: string;
  readonly updateRevision: string;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** What a StatefulSet needs next. */
export interface StatefulSetPlan {
  readonly create: readonly { readonly ordinal: number; readonly revision: string }[];
  readonly remove: readonly { readonly pod: Pod; readonly why: "scale" | "update" | "over" }[];
  readonly status: StatefulSetCounts;
  /** When a ready pod becomes available by time alone, epoch milliseconds. */
  readonly recheckAt?: number;
}

/**
 * Decides one round, by the rules of Kubernetes' StatefulSet controller.
 *
 * With `OrderedReady` one pod at a time: up from the lowest ordinal, each when those before it are available; down and
 * updated from the highest. With `Parallel` creation and removal do not wait; updates do.
 */
export function planStatefulSet(input: StatefulSetInput): StatefulSetPlan {
  const { set, pods, now } = input;
  const status = statefulSetCounts(input);
  const minReady = set.spec?.minReadySeconds ?? 0;
  const later = pods.map((pod) => availableAt(pod, minReady)).filter((at) => at !== undefined && at > now);
  const recheckAt = Math.min(...later.map((at) => at ?? Number.POSITIVE_INFINITY));
  const work = set.metadata.deletionTimestamp === undefined ? planWork(input) : { create: [], remove: [] };
  return { ...work, status, ...(Number.isFinite(recheckAt) ? { recheckAt } : {}) };
}

type Work = Pick<StatefulSetPlan, "create" | "remove">;

const nothing: Work = { create: [], remove: [] };

function planWork(input: StatefulSetInput): Work {
  const { set, pods, now } = input;
  const { replicas = 1, podManagementPolicy, minReadySeconds = 0 } = set.spec ?? {};
  const start = set.spec?.ordinals?.start ?? 0;
  const inOrder = podManagementPolicy !== "Parallel";
  const byOrdinal = new Map(pods.map((pod) => [ordinalOf(set, pod), pod]));
  const healthy = (pod: Pod) =>
    pod.metadata.deletionTimestamp === undefined &&
    (availableAt(pod, minReadySeconds) ?? Number.POSITIVE_INFINITY) <= now;

  const create: { ordinal: number; revision: string }[] = [];
  const remove: { pod: Pod; why: "scale" | "update" | "over" }[] = [];
  for (let ordinal = start; ordinal < start + replicas; ordinal++) {
    const pod = byOrdinal.get(ordinal);
    if (!pod) create.push({ ordinal, revision: revisionFor(input, ordinal) });
    else if (isOver(pod) && pod.metadata.deletionTimestamp === undefined) remove.push({ pod, why: "over" });
    if (inOrder && !(pod && healthy(pod))) return { create, remove };
  }

  const condemned = [...byOrdinal]
    .filter(([ordinal]) => ordinal >= start + replicas || (ordinal >= 0 && ordinal < start))
    .sort(([a], [b]) => b - a)
    .map(([, pod]) => pod);
  if (inOrder && condemned.length > 0) return removeOne(condemned, healthy);
  remove.push(...condemned.filter(isThere).map((pod) => ({ pod, why: "scale" as const })));
  if (create.length > 0 || remove.length > 0) return { create, remove };
  return planUpdate(input, byOrdinal, healthy);
}

/** The highest goes; the next only when it is gone, and only while the rest is healthy. */
function removeOne(condemned: readonly Pod[], healthy: (pod: Pod) => boolean): Work {
  if (condemned.some((pod) => !isThere(pod))) return nothing;
  const [pod] = condemned;
  const unhealthy = condemned.findLast((candidate) => !healthy(candidate));
  if (!pod || (unhealthy && unhealthy !== pod && !healthy(pod))) return nothing;
  return { create: [], remove: [{ pod, why: "scale" }] };
}

/** From the highest ordinal down to the partition, each when those above it are healthy in the new revision. */
function planUpdate(
  { set, updateRevision }: StatefulSetInput,
  byOrdinal: ReadonlyMap<number, Pod>,
  healthy: (pod: Pod) => boolean,
): Work {
  const { replicas = 1, updateStrategy } = set.spec ?? {};
  if (updateStrategy?.type === "OnDelete") return nothing;
  const start = set.spec?.ordinals?.start ?? 0;
  const partition = updateStrategy?.rollingUpdate?.partition ?? 0;
  for (let ordinal = start + replicas - 1; ordinal >= start + partition; ordinal--) {
    const pod = byOrdinal.get(ordinal);
    if (!pod || !isThere(pod)) return nothing;
    if (pod.metadata.labels?.[revisionLabel] !== updateRevision) {
      return { create: [], remove: [{ pod, why: "update" }] };
    }
    if (!healthy(pod)) return nothing;
  }
  return nothing;
}

/** Pods below the partition are made from what runs, the others from what it is updated to. */
function revisionFor({ set, currentRevision, updateRevision }: StatefulSetInput, ordinal: number): string {
  const { type, rollingUpdate } = set.spec?.updateStrategy ?? {};
  if (type === "OnDelete") return updateRevision;
  const first = (set.spec?.ordinals?.start ?? 0) + (rollingUpdate?.partition ?? 0);
  return ordinal < first ? currentRevision : updateRevision;
}

function isThere({ metadata }: Pod): boolean {
  return metadata.deletionTimestamp === undefined;
}
