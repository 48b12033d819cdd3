import type { Job, Pod } from "../../../api/core.ts";
import { isOver, isReady } from "../pod-facts.ts";
import { backOffUntil } from "./back-off.ts";
import { completionIndexOf, formatIndexes, readIndexes } from "./indexes.ts";

/** Kept on a job's pods until they are counted: so that none is lost with its pod. */
export const trackingFinalizer = "batch.kubernetes.io/job-tracking";

export interface JobInput {
  readonly job: Job;
  /** Those that it controls. */
  readonly pods: readonly Pod[];
  /** Epoch milliseconds. */
  readonly now: number;
}

export interface JobPlan {
  /** Pods to make: their completion indexes, or undefined for a job without. */
  readonly create: readonly (number | undefined)[];
  readonly remove: readonly Pod[];
  /** Finished pods whose finalizer goes once `counts` is stored. */
  readonly counted: readonly Pod[];
  readonly counts: JobCounts;
  /** Set in the round in which the job ends. */
  readonly end?: JobEnd;
  /** When time alone makes work, epoch milliseconds. */
  readonly recheckAt?: number;
}

export interface JobEnd {
  readonly type: "Complete" | "Failed";
  readonly reason: string;
  readonly message: string;
}

export interface JobCounts {
  readonly active: number;
  readonly ready: number;
  readonly terminating: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly completedIndexes?: string;
  /** Uids that are in `succeeded` or `failed` and whose pods still have the finalizer. */
  readonly uncountedTerminatedPods: {
    readonly succeeded: readonly string[];
    readonly failed: readonly string[];
  };
}

/**
 * Decides one round of a Job: counts what ended, starts what is missing, ends it.
 *
 * Each pod is counted once: its uid stands in the status from the moment it is counted until its finalizer is gone.
 * @see syncJob of kube-controller-manager
 */
export function planJob(input: JobInput): JobPlan {
  const { job, pods, now } = input;
  const spec = job.spec ?? { template: {} };
  const active = pods.filter((pod) => !isOver(pod) && pod.metadata.deletionTimestamp === undefined);
  const counts = countPods(input, active);
  const counted = pods.filter((pod) => hasEnded(pod) && isTracked(pod));
  const idle = { create: [], remove: [], counted };
  if (job.metadata.deletionTimestamp !== undefined || isFinished(job)) {
    return { ...idle, remove: isFinished(job) ? active : [], counts };
  }
  const end = endOf(input, counts, active.length);
  if (end) return { ...idle, remove: active, counts: { ...counts, active: 0, ready: 0 }, end };
  if (spec.suspend) return { ...idle, remove: active, counts: { ...counts, active: 0, ready: 0 } };

  const deadline = deadlineOf(job);
  const held = backOffUntil(pods, counts.failed);
  const missing = missingPods(input, counts, active);
  const times = [
    ...(deadline === undefined ? [] : [deadline]),
    ...(missing.length > 0 && held > now ? [held] : []),
  ];
  const create = held > now ? [] : missing;
  const extra = active.slice(0, Math.max(0, active.length - wantedActive(job, counts)));
  return {
    create,
    remove: extra,
    counted,
    counts: { ...counts, active: active.length + create.length - extra.length },
    ...(times.length === 0 ? {} : { recheckAt: Math.min(...times) }),
  };
}

/** Whether the job is Complete or Failed. */
export function isFinished({ status }: Job): boolean {
  return (status?.conditions ?? []).some(
    ({ type, status: value }) => (type === "Complete" || type === "Failed") && value === "True",
  );
}

function endOf({ job, pods, now }: JobInput, counts: JobCounts, active: number): JobEnd | undefined {
  const { backoffLimit = 6, completions, activeDeadlineSeconds } = job.spec ?? {};
  if (counts.failed > backoffLimit || restartedTooOften(job, pods, backoffLimit)) {
    const message = "Job has reached the specified backoff limit";
    return { type: "Failed", reason: "BackoffLimitExceeded", message };
  }
  const deadline = deadlineOf(job);
  if (activeDeadlineSeconds !== undefined && deadline !== undefined && now >= deadline) {
    const message = "Job was active longer than specified deadline";
    return { type: "Failed", reason: "DeadlineExceeded", message };
  }
  // Without completions it is a queue of work: one success and nothing left running ends it.
  const done =
    completions === undefined ? counts.succeeded > 0 && active === 0 : counts.succeeded >= completions;
  if (!done) return undefined;
  return {
    type: "Complete",
    reason: "CompletionsReached",
    message: "Reached expected number of succeeded pods",
  };
}

/** Where pods restart their containers themselves (`OnFailure`), the restarts count. */
function restartedTooOften({ spec }: Job, pods: readonly Pod[], backoffLimit: number): boolean {
  if (spec?.template.spec?.restartPolicy !== "OnFailure") return false;
  const restarts = pods
    .filter((pod) => !isOver(pod))
    .flatMap(({ status }) => [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])])
    .reduce((sum, { restartCount }) => sum + restartCount, 0);
  return restarts >= Math.max(1, backoffLimit);
}

/** Epoch milliseconds; from the start of the job. */
function deadlineOf({ spec, status }: Job): number | undefined {
  const started = Date.parse(status?.startTime ?? "");
  if (spec?.activeDeadlineSeconds === undefined || Number.isNaN(started)) return undefined;
  return started + spec.activeDeadlineSeconds * 1000;
}

function wantedActive({ spec }: Job, { succeeded }: JobCounts): number {
  const { parallelism = 1, completions } = spec ?? {};
  if (completions === undefined) return succeeded > 0 ? Number.POSITIVE_INFINITY : parallelism;
  return Math.max(0, Math.min(parallelism, completions - succeeded));
}

function missingPods(
  { job, pods }: JobInput,
  counts: JobCounts,
  active: readonly Pod[],
): (number | undefined)[] {
  const { completions, completionMode, podReplacementPolicy } = job.spec ?? {};
  // A pod on its way out still holds its place where only failed ones are replaced.
  const going = podReplacementPolicy === "Failed" ? counts.terminating : 0;
  const wanted = wantedActive(job, counts);
  if (!Number.isFinite(wanted)) return [];
  const count = Math.max(0, wanted - active.length - going);
  if (completionMode !== "Indexed") return Array.from({ length: count }, () => undefined);
  const taken = new Set([
    ...readIndexes(counts.completedIndexes),
    ...pods.filter((pod) => !isOver(pod)).map(completionIndexOf),
  ]);
  const free = Array.from({ length: completions ?? 0 }, (_, index) => index).filter(
    (index) => !taken.has(index),
  );
  return free.slice(0, count);
}

function countPods({ job, pods }: JobInput, active: readonly Pod[]): JobCounts {
  const before = job.status ?? {};
  const held = before.uncountedTerminatedPods ?? {};
  const known = new Set([...(held.succeeded ?? []), ...(held.failed ?? [])]);
  const uid = ({ metadata }: Pod) => metadata.uid ?? metadata.name;
  const ended = pods.filter((pod) => hasEnded(pod) && isTracked(pod));
  const fresh = ended.filter((pod) => !known.has(uid(pod)));
  const won = fresh.filter(({ status }) => status?.phase === "Succeeded");
  const tracked = new Set(ended.map(uid));
  const still = (uids: readonly string[] = []) => uids.filter((one) => tracked.has(one));
  const indexed = job.spec?.completionMode === "Indexed";
  const done = new Set([...readIndexes(before.completedIndexes), ...won.map(completionIndexOf)]);
  return {
    active: active.length,
    ready: active.filter(isReady).length,
    terminating: pods.filter((pod) => !isOver(pod) && pod.metadata.deletionTimestamp !== undefined).length,
    succeeded: indexed ? done.size : (before.succeeded ?? 0) + won.length,
    failed: (before.failed ?? 0) + fresh.length - won.length,
    ...(indexed ? { completedIndexes: formatIndexes(done) } : {}),
    uncountedTerminatedPods: {
      succeeded: [...still(held.succeeded), ...won.map(uid)],
      failed: [...still(held.failed), ...fresh.filter((pod) => !won.includes(pod)).map(uid)],
    },
  };
}

/** A pod that is deleted before it succeeded counts as failed. */
function hasEnded(pod: Pod): boolean {
  return isOver(pod) || pod.metadata.deletionTimestamp !== undefined;
}

function isTracked({ metadata }: Pod): boolean {
  return metadata.finalizers?.includes(trackingFinalizer) === true;
}
