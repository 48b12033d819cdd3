import {
  type ControllerRevision,
  PersistentVolumeClaimKind,
  type Pod,
  PodKind,
  type StatefulSet,
  StatefulSetKind,
} from "../../../api/core.ts";
import { isAlreadyExists, isNotFound } from "../../../kube/error.ts";
import { createQueue } from "../../../kube/queue.ts";
import { type Controller, type ControllerContext, queueKey, splitKey } from "../context.ts";
import { Dependents, watchDependents } from "../dependents.ts";
import { inBatches } from "../pod-control.ts";
import { revisionLabel, templateOf } from "../revision-history.ts";
import { Revisions } from "../revisions.ts";
import { saysAlready } from "../status.ts";
import { planStatefulSet, type StatefulSetPlan } from "./plan.ts";
import { claimsOf, podOfSet } from "./pod.ts";
import type { StatefulSetCounts } from "./status.ts";

/** Keeps the pods of StatefulSets under names, volumes and an order that stay. The caller has started the watches. */
export function startStatefulSets(context: ControllerContext): Controller {
  const { client, informers, recorder, logger, clock } = context;
  const pods = new Dependents(context, PodKind);
  const revisions = new Revisions(context);
  const queue = createQueue({ process: reconcile, logger, clock });

  async function reconcile(key: string): Promise<{ after: number } | undefined> {
    const [namespace, name] = splitKey(key);
    const set = informers.snapshot().get(StatefulSetKind, namespace, name);
    if (!set?.spec) return undefined;
    const { selector, template } = set.spec;
    const owned = await pods.claim(set, StatefulSetKind, selector);
    const { collisionCount } = set.status ?? {};
    const { current: update, all } = await revisions.bring({
      ...{ owner: set, kind: StatefulSetKind, template, selector, collisionCount },
    });
    const current = all.find(({ metadata }) => metadata.name === set.status?.currentRevision) ?? update;
    const plan = planStatefulSet({
      set,
      pods: owned,
      currentRevision: current.metadata.name,
      updateRevision: update.metadata.name,
      now: clock.now(),
    });
    await writeStatus(set, plan.status);
    await apply(set, plan, [current, update]);
    await revisions.trim(all, revisionsInUse(owned, plan.status), set.spec.revisionHistoryLimit ?? 10);
    return plan.recheckAt === undefined ? undefined : { after: plan.recheckAt - clock.now() };
  }

  async function apply(
    set: StatefulSet,
    plan: StatefulSetPlan,
    known: readonly ControllerRevision[],
  ): Promise<void> {
    await inBatches(plan.create, async ({ ordinal, revision }) => {
      const held = known.find(({ metadata }) => metadata.name === revision);
      const template = (held && templateOf(held)) ?? set.spec?.template ?? {};
      await createClaims(set, ordinal);
      await createPod(set, podOfSet(set, ordinal, template, revision));
    });
    await inBatches(plan.remove, async ({ pod, why }) => {
      const { name, namespace, uid } = pod.metadata;
      if (why === "over") {
        const failed = pod.status?.phase === "Failed";
        recorder.event(
          set,
          failed ? "Warning" : "Normal",
          failed ? "RecreatingFailedPod" : "RecreatingTerminatedPod",
          `StatefulSet ${namespace}/${set.metadata.name} is recreating ${failed ? "failed" : "terminated"} Pod ${name}`,
        );
      }
      pods.removed(uid);
      await client.delete(PodKind, namespace, name, uid === undefined ? {} : { uid });
      tell(set, "SuccessfulDelete", `delete Pod ${name} in StatefulSet ${set.metadata.name} successful`);
    });
  }

  async function createClaims(set: StatefulSet, ordinal: number): Promise<void> {
    for (const { claim } of claimsOf(set, ordinal)) {
      const { namespace, name } = claim.metadata;
      if (informers.snapshot().get(PersistentVolumeClaimKind, namespace, name)) continue;
      try {
        await client.create(PersistentVolumeClaimKind, claim);
        const message = `create Claim ${name} Pod ${set.metadata.name}-${ordinal} in StatefulSet ${set.metadata.name} success`;
        tell(set, "SuccessfulCreate", message);
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
      }
    }
  }

  async function createPod(set: StatefulSet, pod: Pod): Promise<void> {
    const { name } = pod.metadata;
    try {
      pods.wrote(await client.create(PodKind, pod));
      tell(set, "SuccessfulCreate", `create Pod ${name} in StatefulSet ${set.metadata.name} successful`);
    } catch (error) {
      // The one before it is still going: its end brings the set here again.
      if (isAlreadyExists(error)) return;
      const reason = error instanceof Error ? error.message : String(error);
      const message = `create Pod ${name} in StatefulSet ${set.metadata.name} failed error: ${reason}`;
      recorder.event(set, "Warning", "FailedCreate", message);
      throw error;
    }
  }

  function tell(set: StatefulSet, reason: string, message: string): void {
    recorder.event(set, "Normal", reason, message);
  }

  async function writeStatus(
    { metadata, status: before }: StatefulSet,
    status: StatefulSetCounts,
  ): Promise<void> {
    if (saysAlready(before, status)) return;
    try {
      await client.patch(
        StatefulSetKind,
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
    informers.onChange(StatefulSetKind, ({ object }) => queue.add(queueKey(object))),
    watchDependents({
      informers,
      kind: PodKind,
      ownerKind: StatefulSetKind,
      selectorOf: ({ spec }) => spec?.selector,
      add: (key) => queue.add(key),
    }),
  ];
  for (const set of informers.snapshot().list(StatefulSetKind)) queue.add(queueKey(set));

  return {
    async close() {
      for (const end of stop) end();
      pods.close();
      revisions.close();
      await queue.close();
    },
  };
}

function revisionsInUse(pods: readonly Pod[], status: StatefulSetCounts): ReadonlySet<string> {
  const ofPods = pods.flatMap(({ metadata }) => metadata.labels?.[revisionLabel] ?? []);
  return new Set([status.currentRevision, status.updateRevision, ...ofPods]);
}
