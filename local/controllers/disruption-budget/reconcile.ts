import {
  DeploymentKind,
  type Pod,
  type PodDisruptionBudget,
  PodDisruptionBudgetKind,
  PodKind,
  ReplicaSetKind,
  StatefulSetKind,
} from "../../../api/core.ts";
import type { Condition, KubeObject } from "../../../api/resource.ts";
import { isNotFound } from "../../../kube/error.ts";
import { createQueue } from "../../../kube/queue.ts";
import { type Controller, type ControllerContext, queueKey, splitKey } from "../context.ts";
import { matches } from "../label-selector.ts";
import { saysAlready } from "../status.ts";
import { type DisruptionBudgetPlan, type Owner, planDisruptionBudget } from "./plan.ts";

/** Tells in the status of each PodDisruptionBudget what may be evicted now. The caller has started the watches. */
export function startDisruptionBudgets({
  client,
  informers,
  recorder,
  logger,
  clock,
}: ControllerContext): Controller {
  const queue = createQueue({ process: reconcile, logger, clock });

  async function reconcile(key: string): Promise<void> {
    const [namespace, name] = splitKey(key);
    const snapshot = informers.snapshot();
    const budget = snapshot.get(PodDisruptionBudgetKind, namespace, name);
    if (!budget || budget.metadata.deletionTimestamp !== undefined) return;
    const pods = snapshot.list(PodKind, namespace).filter((pod) => picks(budget, pod));
    const plan = planDisruptionBudget({ budget, pods, ownerOf });
    if (plan.kind === "failed") {
      recorder.event(
        budget,
        "Warning",
        "CalculateExpectedPodCountFailed",
        `Failed to calculate the number of expected pods: ${plan.message}`,
      );
    } else if (pods.length === 0) {
      recorder.event(budget, "Normal", "NoPods", "No matching pods found");
    }
    await writeStatus(budget, plan);
  }

  /** A ReplicaSet of a Deployment counts as the Deployment: a rollout has pods of two. */
  function ownerOf({ metadata }: Pod): Owner | undefined {
    const snapshot = informers.snapshot();
    const { namespace } = metadata;
    const owner = controllerReferenceOf(metadata);
    if (owner?.kind === "StatefulSet") return asOwner(snapshot.get(StatefulSetKind, namespace, owner.name));
    if (owner?.kind !== "ReplicaSet") return undefined;
    const replicaSet = snapshot.get(ReplicaSetKind, namespace, owner.name);
    const above = replicaSet && controllerReferenceOf(replicaSet.metadata);
    if (above?.kind === "Deployment") return asOwner(snapshot.get(DeploymentKind, namespace, above.name));
    return asOwner(replicaSet);
  }

  async function writeStatus(budget: PodDisruptionBudget, plan: DisruptionBudgetPlan): Promise<void> {
    const { namespace, name, generation = 0 } = budget.metadata;
    const counts = plan.kind === "counted" ? plan.counts : { disruptionsAllowed: 0 };
    const condition = disruptionAllowed(
      budget,
      plan,
      new Date(clock.now()).toISOString().replace(/\.\d+Z$/, "Z"),
    );
    const status = { ...counts, observedGeneration: generation, conditions: [condition] };
    if (saysAlready(budget.status, status)) return;
    try {
      await client.patch(
        PodDisruptionBudgetKind,
        namespace,
        name,
        { kind: "merge", body: { status } },
        "status",
      );
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  const addBudgetsOf = (pod: Pod) => {
    for (const budget of informers.snapshot().list(PodDisruptionBudgetKind, pod.metadata.namespace)) {
      if (picks(budget, pod)) queue.add(queueKey(budget));
    }
  };
  const addAllOf = ({ object: { metadata } }: { readonly object: KubeObject }) => {
    for (const budget of informers.snapshot().list(PodDisruptionBudgetKind, metadata.namespace)) {
      queue.add(queueKey(budget));
    }
  };
  const stop = [
    informers.onChange(PodDisruptionBudgetKind, ({ object }) => queue.add(queueKey(object))),
    informers.onChange(PodKind, (change) => {
      addBudgetsOf(change.object);
      if (change.kind === "modified") addBudgetsOf(change.before);
    }),
    // Their number of wanted pods is what percentages are of.
    informers.onChange(DeploymentKind, addAllOf),
    informers.onChange(StatefulSetKind, addAllOf),
  ];
  for (const budget of informers.snapshot().list(PodDisruptionBudgetKind)) queue.add(queueKey(budget));

  return {
    async close() {
      for (const end of stop) end();
      await queue.close();
    },
  };
}

/** Unlike elsewhere, a budget's empty selector picks every pod; one that is absent picks none. */
function picks({ spec }: PodDisruptionBudget, { metadata }: Pod): boolean {
  const { selector } = spec ?? {};
  if (selector && !selector.matchLabels && !selector.matchExpressions) return true;
  return matches(selector, metadata.labels);
}

function controllerReferenceOf({ ownerReferences }: KubeObject["metadata"]) {
  return ownerReferences?.find(({ controller }) => controller);
}

function asOwner(
  object: (KubeObject & { readonly spec?: { readonly replicas?: number } }) | undefined,
): Owner | undefined {
  return object && { uid: object.metadata.uid ?? "", replicas: object.spec?.replicas ?? 1 };
}

function disruptionAllowed(budget: PodDisruptionBudget, plan: DisruptionBudgetPlan, now: string): Condition {
  const answer =
    plan.kind === "failed"
      ? { status: "False" as const, reason: "SyncFailed", message: plan.message }
      : plan.counts.disruptionsAllowed > 0
        ? { status: "True" as const, reason: "SufficientPods", message: "" }
        : { status: "False" as const, reason: "InsufficientPods", message: "" };
  const before = budget.status?.conditions?.find(({ type }) => type === "DisruptionAllowed");
  const same = before?.status === answer.status && before.lastTransitionTime;
  return {
    type: "DisruptionAllowed",
    ...answer,
    observedGeneration: budget.metadata.generation ?? 0,
    lastTransitionTime: same || now,
  };
}
