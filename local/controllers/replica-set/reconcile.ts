import { isDeepStrictEqual } from "node:util";
import { type Pod, PodKind, type ReplicaSet, ReplicaSetKind } from "../../../api/core.ts";
import type { Condition } from "../../../api/resource.ts";
import { isNotFound } from "../../../kube/error.ts";
import { createQueue } from "../../../kube/queue.ts";
import { controllerOf } from "../../../kube/snapshot.ts";
import { type Controller, type ControllerContext, queueKey, splitKey } from "../context.ts";
import { RecentWrites } from "../recent-writes.ts";
import { planReplicaSet, type ReplicaSetCounts } from "./plan.ts";
import { podOf } from "./pod.ts";

/** Pods made or removed at a time: a storm of a thousand must not hold up the API server. */
const batch = 20;

/** Keeps the number of pods of each ReplicaSet. The caller has started the watches. */
export function startReplicaSets({
  client,
  informers,
  recorder,
  logger,
  clock,
}: ControllerContext): Controller {
  const recentPods = new RecentWrites(informers, PodKind);
  const queue = createQueue({ process: reconcile, logger, clock });

  async function reconcile(key: string): Promise<{ after: number } | undefined> {
    const [namespace, name] = splitKey(key);
    const snapshot = informers.snapshot();
    const replicaSet = snapshot.get(ReplicaSetKind, namespace, name);
    if (!replicaSet) return undefined;
    const { uid = "" } = replicaSet.metadata;
    const pods = recentPods.over(snapshot.ownedBy(PodKind, uid), (pod) => controllerOf(pod) === uid);
    const plan = planReplicaSet(replicaSet, pods, clock.now());
    const failure = await apply(replicaSet, plan);
    await writeStatus(replicaSet, plan.status, failure);
    if (failure) throw failure;
    return plan.recheckAt === undefined ? undefined : { after: plan.recheckAt - clock.now() };
  }

  /** Makes and removes pods; returns the first failure, after which the rest is left for the next try. */
  async function apply(
    replicaSet: ReplicaSet,
    plan: { create: number; remove: readonly Pod[] },
  ): Promise<Error | undefined> {
    try {
      for (let made = 0; made < plan.create; made += batch) {
        const count = Math.min(batch, plan.create - made);
        await settle(Array.from({ length: count }, () => createPod(replicaSet)));
      }
      for (let gone = 0; gone < plan.remove.length; gone += batch) {
        await settle(plan.remove.slice(gone, gone + batch).map((pod) => removePod(replicaSet, pod)));
      }
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  async function createPod(replicaSet: ReplicaSet): Promise<void> {
    try {
      const pod = await client.create(PodKind, podOf(replicaSet));
      recentPods.wrote(pod);
      recorder.event(replicaSet, "Normal", "SuccessfulCreate", `Created pod: ${pod.metadata.name}`);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      recorder.event(replicaSet, "Warning", "FailedCreate", `Error creating: ${message}`);
      throw error;
    }
  }

  async function removePod(replicaSet: ReplicaSet, { metadata }: Pod): Promise<void> {
    recentPods.removed(metadata.uid);
    await client.delete(
      PodKind,
      metadata.namespace,
      metadata.name,
      metadata.uid === undefined ? {} : { uid: metadata.uid },
    );
    recorder.event(replicaSet, "Normal", "SuccessfulDelete", `Deleted pod: ${metadata.name}`);
  }

  async function writeStatus(
    replicaSet: ReplicaSet,
    counts: ReplicaSetCounts,
    failure: Error | undefined,
  ): Promise<void> {
    const before = replicaSet.status;
    const conditions = failureCondition(before?.conditions, failure, new Date(clock.now()).toISOString());
    const status = { ...counts, conditions };
    if (isDeepStrictEqual({ ...before, conditions: before?.conditions ?? [] }, status)) return;
    const { namespace, name } = replicaSet.metadata;
    try {
      await client.patch(ReplicaSetKind, namespace, name, { kind: "merge", body: { status } }, "status");
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  const stop = [
    informers.onChange(ReplicaSetKind, ({ object }) => queue.add(queueKey(object))),
    informers.onChange(PodKind, ({ object }) => {
      const owner = object.metadata.ownerReferences?.find(
        ({ controller, kind }) => controller && kind === "ReplicaSet",
      );
      if (owner) queue.add(`${object.metadata.namespace}/${owner.name}`);
    }),
  ];
  for (const replicaSet of informers.snapshot().list(ReplicaSetKind)) queue.add(queueKey(replicaSet));

  return {
    async close() {
      for (const end of stop) end();
      recentPods.close();
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

/** Waits for all, so that nothing goes on behind the queue's back, then throws the first failure. */
async function settle(work: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}
