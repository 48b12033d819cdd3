import { type Pod, PodKind, type ReplicaSet, ReplicaSetKind } from "../../../api/core.ts";
import type { Condition } from "../../../api/resource.ts";
import { isNotFound } from "../../../kube/error.ts";
import { createQueue } from "../../../kube/queue.ts";
import { type Controller, type ControllerContext, queueKey, splitKey } from "../context.ts";
import { Dependents, watchDependents } from "../dependents.ts";
import { inBatches, PodControl } from "../pod-control.ts";
import { saysAlready } from "../status.ts";
import { podOfTemplate } from "../template-pod.ts";
import { asksNothingNew, together } from "../together.ts";
import { planReplicaSet, type ReplicaSetCounts } from "./plan.ts";

/** Keeps the number of pods of each ReplicaSet. The caller has started the watches. */
export function startReplicaSets(context: ControllerContext): Controller {
  const { client, informers, logger, clock } = context;
  const pods = new Dependents(context, PodKind);
  const podControl = new PodControl(context, pods);
  const queue = createQueue({ process: reconcile, logger, clock });

  async function reconcile(key: string): Promise<{ after: number } | undefined> {
    const [namespace, name] = splitKey(key);
    const replicaSet = informers.snapshot().get(ReplicaSetKind, namespace, name);
    if (!replicaSet) return undefined;
    const owned = await pods.claim(replicaSet, ReplicaSetKind, replicaSet.spec?.selector);
    const plan = planReplicaSet(replicaSet, owned, clock.now());
    const failure = await apply(replicaSet, plan);
    // What was done changes the counts again at once: they are written when that is seen.
    if (!failure && plan.create + plan.remove.length > 0) queue.addWithin(key, together);
    else await writeStatus(replicaSet, plan.status, failure);
    if (failure) throw failure;
    return plan.recheckAt === undefined ? undefined : { after: plan.recheckAt - clock.now() };
  }

  /** Makes and removes pods; returns the first failure, after which the rest is left for the next try. */
  async function apply(
    replicaSet: ReplicaSet,
    plan: { create: number; remove: readonly Pod[] },
  ): Promise<Error | undefined> {
    try {
      const missing = Array.from({ length: plan.create }, () =>
        podOfTemplate(replicaSet, ReplicaSetKind, replicaSet.spec?.template),
      );
      await inBatches(missing, (pod) => podControl.create(replicaSet, pod));
      await inBatches(plan.remove, (pod) => podControl.remove(replicaSet, pod));
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  async function writeStatus(
    replicaSet: ReplicaSet,
    counts: ReplicaSetCounts,
    failure: Error | undefined,
  ): Promise<void> {
    const before = replicaSet.status;
    const conditions = failureCondition(before?.conditions, failure, new Date(clock.now()).toISOString());
    const status = { ...counts, conditions };
    if (saysAlready(before, status)) return;
    const { namespace, name } = replicaSet.metadata;
    try {
      await client.patch(ReplicaSetKind, namespace, name, { kind: "merge", body: { status } }, "status");
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  const stop = [
    informers.onChange(ReplicaSetKind, (change) => {
      const key = queueKey(change.object);
      if (asksNothingNew(change)) queue.addWithin(key, together);
      else queue.add(key);
    }),
    watchDependents({
      informers,
      kind: PodKind,
      ownerKind: ReplicaSetKind,
      selectorOf: ({ spec }) => spec?.selector,
      add: (key) => queue.addWithin(key, together),
    }),
  ];
  for (const replicaSet of informers.snapshot().list(ReplicaSetKind)) queue.add(queueKey(replicaSet));

  return {
    async close() {
      for (const end of stop) end();
      pods.close();
      await queue.close();
    },
  };
}

type Conditions = NonNullable<NonNullable<ReplicaSet["status"]>["conditions"]>;

function failureCondition(
  before: Conditions = [],
  failure: Error | undefined,
  now: string,
): Conditions | Condition[] {
  if (!failure) return [];
  const same = before.find(({ type, message }) => type === "ReplicaFailure" && message === failure.message);
  if (same) return [same];
  return [
    {
      type: "ReplicaFailure",
      status: "True",
      reason: "FailedCreate",
      message: failure.message,
      lastTransitionTime: now,
    },
  ];
}
