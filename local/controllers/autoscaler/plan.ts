import type { HorizontalPodAutoscaler, Pod } from "../../../api/core.ts";
import type { Condition } from "../../../api/resource.ts";
import type { PodUsages } from "../../node/usage/usage.ts";
import { limitReplicas, type Memory } from "./behavior.ts";
import { type MetricAnswer, type MetricStatus, readMetric } from "./metrics.ts";

export interface AutoscalerInput {
  readonly autoscaler: HorizontalPodAutoscaler;
  /** `spec.replicas` of the target. */
  readonly current: number;
  /** Those that the target's selector picks. */
  readonly pods: readonly Pod[];
  readonly usages: PodUsages;
  readonly memory: Memory;
  /** Epoch milliseconds. */
  readonly now: number;
}

type Answer = Pick<Condition, "status" | "reason" | "message">;

export interface AutoscalerPlan {
  readonly desired: number;
  /** Why, for the event of a change. */
  readonly reason: string;
  /** Before it was held back: to be remembered. */
  readonly recommended?: number;
  readonly currentMetrics: readonly MetricStatus[];
  readonly conditions: Readonly<Record<string, Answer>>;
  /** Warnings for events: metrics that could not be read. */
  readonly failures: readonly { readonly reason: string; readonly message: string }[];
}

const ableToScale: Answer = {
  status: "True",
  reason: "SucceededGetScale",
  message: "the HPA controller was able to get the target's current scale",
};

/**
 * Decides one round of a HorizontalPodAutoscaler: the largest number that a metric asks for, held back by its behavior.
 *
 * A metric that cannot be read never lets the scale go down.
 * @see reconcileAutoscaler of kube-controller-manager
 */
export function planAutoscaler(input: AutoscalerInput): AutoscalerPlan {
  const { autoscaler, current } = input;
  const { minReplicas = 1, maxReplicas } = autoscaler.spec ?? { maxReplicas: 1 };
  const still = (desired: number, reason: string): AutoscalerPlan => ({
    desired,
    reason,
    currentMetrics: [],
    conditions: { AbleToScale: ableToScale },
    failures: [],
  });
  if (current === 0 && minReplicas !== 0) {
    const message = "scaling is disabled since the replica count of the target is zero";
    const ScalingActive: Answer = { status: "False", reason: "ScalingDisabled", message };
    return { ...still(0, ""), conditions: { AbleToScale: ableToScale, ScalingActive } };
  }
  if (current > maxReplicas) return still(maxReplicas, "Current number of replicas above Spec.MaxReplicas");
  if (current < minReplicas) return still(minReplicas, "Current number of replicas below Spec.MinReplicas");
  return planByMetrics(input, minReplicas, maxReplicas);
}

function planByMetrics(input: AutoscalerInput, minReplicas: number, maxReplicas: number): AutoscalerPlan {
  const { autoscaler, current, memory, now } = input;
  const metrics = autoscaler.spec?.metrics ?? [];
  const answers = metrics.map((metric) => readMetric({ ...input, metric }));
  const proposals = answers.filter((answer) => answer.kind === "proposal");
  const failures = answers.filter((answer) => answer.kind === "failed");
  const best = proposals.toSorted((a, b) => b.proposal.replicas - a.proposal.replicas)[0];
  const blind = best === undefined || (failures.length > 0 && best.proposal.replicas < current);
  const currentMetrics = proposals.map(({ status }) => status);
  if (blind) {
    const ScalingActive = inactive(failures, metrics.length);
    const conditions = { AbleToScale: ableToScale, ScalingActive };
    return { desired: current, reason: "", currentMetrics, conditions, failures };
  }
  const recommended = best.proposal.replicas;
  const { behavior } = autoscaler.spec ?? {};
  const held = limitReplicas({
    behavior,
    minReplicas,
    maxReplicas,
    current,
    desired: recommended,
    memory,
    now,
  });
  const ready = { reason: "ReadyForNewScale", message: "recommended size matches current size" };
  const within = held.limited.reason === "DesiredWithinRange";
  return {
    desired: held.replicas,
    reason: held.replicas > current ? `${best.name} above target` : "All metrics below target",
    recommended,
    currentMetrics,
    conditions: {
      AbleToScale: { status: "True", ...(held.stabilized ?? ready) },
      ScalingActive: {
        status: "True",
        reason: "ValidMetricFound",
        message: `the HPA was able to successfully calculate a replica count from ${best.name}`,
      },
      ScalingLimited: { status: within ? "False" : "True", ...held.limited },
    },
    failures,
  };
}

function inactive(failures: readonly Extract<MetricAnswer, { kind: "failed" }>[], metrics: number): Answer {
  const [first] = failures;
  const message = `the HPA was unable to compute the replica count: ${first?.message ?? "no metrics are given"}`;
  return {
    status: "False",
    reason: metrics === 0 ? "InvalidMetricSourceType" : (first?.reason ?? ""),
    message,
  };
}
