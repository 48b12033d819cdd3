import { type Job, JobKind, type Pod, PodKind } from "../../../api/core.ts";
import type { Condition } from "../../../api/resource.ts";
import { isNotFound } from "../../../kube/error.ts";
import { createQueue } from "../../../kube/queue.ts";
import { type Controller, type ControllerContext, queueKey, splitKey } from "../context.ts";
import { Dependents, watchDependents } from "../dependents.ts";
import { inBatches, PodControl } from "../pod-control.ts";
import { saysAlready } from "../status.ts";
import { isFinished, type JobEnd, type JobPlan, planJob, trackingFinalizer } from "./plan.ts";
import { podOfJob } from "./pod.ts";

/** Runs Jobs to their completion. The caller has started the watches. */
export function startJobs(context: ControllerContext): Controller {
  const { client, informers, recorder, logger, clock } = context;
  const pods = new Dependents(context, PodKind);
  const podControl = new PodControl(context, pods);
  const queue = createQueue({ process: reconcile, logger, clock });
  const time = () => new Date(clock.now()).toISOString().replace(/\.\d+Z$/, "Z");

  async function reconcile(key: string): Promise<{ after: number } | undefined> {
    const [namespace, name] = splitKey(key);
    const job = informers.snapshot().get(JobKind, namespace, name);
    if (!job?.spec) return undefined;
    if (job.spec.managedBy && job.spec.managedBy !== "kubernetes.io/job-controller") return undefined;
    const owned = await pods.claim(job, JobKind, job.spec.selector);
    const plan = planJob({ job, pods: owned, now: clock.now() });
    await writeStatus(job, plan);
    // In this order: a pod that is not counted yet keeps its finalizer.
    await inBatches(plan.counted, release);
    await inBatches(plan.remove, (pod) => podControl.remove(job, pod));
    await inBatches(plan.create, (index) => podControl.create(job, podOfJob(job, index)));
    if (plan.end) tellEnd(job, plan.end);
    const times = [plan.recheckAt, await removeWhenOld(job)].filter((at) => at !== undefined);
    return times.length === 0 ? undefined : { after: Math.min(...times) - clock.now() + 5 };
  }

  async function release(pod: Pod): Promise<void> {
    const { namespace, name, uid } = pod.metadata;
    const body = { metadata: { uid, "$deleteFromPrimitiveList/finalizers": [trackingFinalizer] } };
    try {
      pods.wrote(await client.patch(PodKind, namespace, name, { kind: "strategic", body }));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** A pod whose job is gone would wait for its count for ever. */
  function releaseOrphan(pod: Pod): void {
    if (pod.metadata.finalizers?.includes(trackingFinalizer) !== true) return;
    const owner = pod.metadata.ownerReferences?.find(({ controller, kind }) => controller && kind === "Job");
    const job = owner && informers.snapshot().get(JobKind, pod.metadata.namespace, owner.name);
    if (job?.metadata.uid === owner?.uid && job !== undefined) return;
    release(pod).catch((error: unknown) => logger.warn({ err: error }, "cannot let go of a job's pod"));
  }

  function tellEnd(job: Job, { type, reason, message }: JobEnd): void {
    if (type === "Complete") recorder.event(job, "Normal", "Completed", "Job completed");
    else recorder.event(job, "Warning", reason, message);
  }

  /** Deletes a job that ended `ttlSecondsAfterFinished` ago; else says when that will be. */
  async function removeWhenOld({ metadata, spec, status }: Job): Promise<number | undefined> {
    const finished = status?.conditions?.find(({ type }) => type === "Complete" || type === "Failed");
    if (spec?.ttlSecondsAfterFinished === undefined || !finished) return undefined;
    const due = Date.parse(finished.lastTransitionTime ?? "") + spec.ttlSecondsAfterFinished * 1000;
    if (due > clock.now()) return due;
    const options = {
      propagationPolicy: "Background" as const,
      ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
    };
    await client.delete(JobKind, metadata.namespace, metadata.name, options);
    return undefined;
  }

  async function writeStatus(job: Job, { counts, end }: JobPlan): Promise<void> {
    const { metadata, spec, status: before } = job;
    const conditions = conditionsOf(job, end, time());
    const suspended = spec?.suspend === true && !isFinished(job);
    const startTime = suspended ? undefined : (before?.startTime ?? time());
    const completed = end?.type === "Complete" ? time() : before?.completionTime;
    const status = {
      ...counts,
      ...(startTime === undefined ? { startTime: null } : { startTime }),
      ...(completed === undefined ? {} : { completionTime: completed }),
      conditions,
    };
    if (saysAlready(before, status)) return;
    try {
      await client.patch(
        JobKind,
        metadata.namespace,
        metadata.name,
        { kind: "merge", body: { status } },
        "status",
      );
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  const stop = [
    informers.onChange(JobKind, ({ kind, object }) => {
      queue.add(queueKey(object));
      if (kind !== "deleted") return;
      for (const pod of informers.snapshot().ownedBy(PodKind, object.metadata.uid ?? "")) releaseOrphan(pod);
    }),
    watchDependents({
      informers,
      kind: PodKind,
      ownerKind: JobKind,
      selectorOf: ({ spec }) => spec?.selector,
      add: (key) => queue.add(key),
    }),
    informers.onChange(PodKind, ({ kind, object }) => {
      if (kind !== "deleted") releaseOrphan(object);
    }),
  ];
  for (const pod of informers.snapshot().list(PodKind)) releaseOrphan(pod);
  for (const job of informers.snapshot().list(JobKind)) queue.add(queueKey(job));

  return {
    async close() {
      for (const end of stop) end();
      pods.close();
      await queue.close();
    },
  };
}

/** `Suspended`, and at the end the reason first (`SuccessCriteriaMet`, `FailureTarget`), then `Complete` or `Failed`. */
function conditionsOf(job: Job, end: JobEnd | undefined, now: string): readonly object[] {
  const before = job.status?.conditions ?? [];
  const add = (type: string, status: Condition["status"], reason: string, message: string) => ({
    ...{ type, status, reason, message, lastProbeTime: now, lastTransitionTime: now },
  });
  const suspended = before.find(({ type }) => type === "Suspended");
  const wanted = job.spec?.suspend === true;
  const others = before.filter(({ type }) => type !== "Suspended");
  const changes = (suspended?.status === "True") !== wanted && !isFinished(job);
  const own = !changes
    ? suspended
    : wanted
      ? add("Suspended", "True", "JobSuspended", "Job suspended")
      : add("Suspended", "False", "JobResumed", "Job resumed");
  const ended = end
    ? [
        add(
          end.type === "Complete" ? "SuccessCriteriaMet" : "FailureTarget",
          "True",
          end.reason,
          end.message,
        ),
        add(end.type, "True", end.reason, end.message),
      ]
    : [];
  return [...others, ...(own ? [own] : []), ...ended];
}
