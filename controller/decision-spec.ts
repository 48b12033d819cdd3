import type { AdvanceSettings } from "../analysis/judge/types.ts";
import type { ReadCanary } from "../api/canary/types.ts";
import type { DecisionSpec } from "./decide/spec.ts";

/** What decisions need of a Canary and of how its runs are analysed. */
export function decisionSpec(canary: ReadCanary, advance: AdvanceSettings): DecisionSpec {
  const { name, namespace, names, analysis } = canary;
  return {
    canary: `${name}.${namespace}`,
    target: `${names.canaryWorkload}.${namespace}`,
    primary: `${names.primaryWorkload}.${namespace}`,
    targetKind: canary.target.kind,
    interval: analysis.interval,
    progressDeadline: canary.progressDeadline,
    skipAnalysis: canary.skipAnalysis,
    revertOnDeletion: canary.revertOnDeletion,
    // One reader of steps: the rule may not see other weights than the plan says.
    advance: analysis.strategy.kind === "weights" ? { ...advance, steps: analysis.strategy.steps } : advance,
    stepWeightPromotion: analysis.stepWeightPromotion,
    hooks: analysis.webhooks,
  };
}

/** Why a Canary is accepted and yet not driven; undefined where it is. */
export function notDriven({
  provider,
  target,
  analysis,
  autoscaler,
  skipAnalysis,
}: ReadCanary): string | undefined {
  if (provider !== "istio") return `provider \`${provider}\` is not driven yet: allowed is \`istio\``;
  if (target.kind !== "Deployment")
    return `targets of kind \`${target.kind}\` are not driven yet: allowed is \`Deployment\``;
  if (autoscaler?.kind === "ScaledObject")
    return "autoscalers of kind `ScaledObject` are not driven yet: allowed is `HorizontalPodAutoscaler`";
  if (skipAnalysis) return undefined;
  const { strategy } = analysis;
  if (strategy.kind !== "weights")
    return `strategy \`${strategy.kind}\` is not driven yet: give \`stepWeight\` or \`stepWeights\``;
  if (strategy.mirror) return "`mirror` is not driven yet: remove it";
  if (analysis.sessionAffinity) return "`sessionAffinity` is not driven yet: remove it";
  return undefined;
}
