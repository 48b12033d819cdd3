import type { Deployment } from "../../../api/core.ts";
import type { CanarySpec, CanaryWebhook } from "../../../api/generated/canaries.ts";
import type { Canary } from "../../../api/kinds.ts";

/** What the scripted proxies see. */
interface SignalsNow {
  readonly failing: number;
  readonly outage: boolean;
}

/** One rollout from the first sight of a target to its end, with what happens around it. */
export interface Scenario {
  readonly name: string;
  readonly spec: Partial<CanarySpec>;
  readonly webhooks?: readonly NonNullable<CanaryWebhook["type"]>[];
  /** What the proxies see, by the Canary as it stands. */
  readonly signals?: (canary: Canary | undefined) => SignalsNow;
  /** Whether a workload's pods get ready; all do where absent. */
  readonly isReady?: (deployment: Deployment) => boolean;
  readonly ends: "Succeeded" | "Failed";
}

/** Name of the Canary and of its target. */
export const target = "shop";
export const interval = 1000;
const plan = { interval: "1s", threshold: 2 };
/** The guard is meant to end it: on a busy machine the checks must not be sooner. */
const guarded = { ...plan, threshold: 20 };
const quiet: SignalsNow = { failing: 0, outage: false };
const errors = [{ name: "request-success-rate", interval: "1m", thresholdRange: { min: 99 } }];
const match = [{ headers: { "x-user": { exact: "insider" } } }];
const image = ({ spec }: Deployment) => spec?.template.spec?.containers[0]?.image;

export const scenarios: readonly Scenario[] = [
  {
    name: "weights",
    spec: { analysis: { ...plan, stepWeights: [20, 60], metrics: errors } },
    webhooks: ["confirm-rollout", "pre-rollout", "rollout", "confirm-promotion", "post-rollout"],
    ends: "Succeeded",
  },
  {
    name: "weights, rolled back by checks",
    spec: { analysis: { ...plan, stepWeights: [20, 60], metrics: errors, guard: "off" } },
    signals: (canary) => ({ ...quiet, failing: (canary?.status?.canaryWeight ?? 0) >= 60 ? 1 : 0 }),
    ends: "Failed",
  },
  {
    name: "weights, rolled back by the trip wire",
    spec: { analysis: { ...guarded, stepWeights: [20, 60], metrics: errors } },
    signals: (canary) => ({ ...quiet, outage: (canary?.status?.canaryWeight ?? 0) >= 20 }),
    webhooks: ["post-rollout"],
    ends: "Failed",
  },
  {
    name: "weights, taken back while promoting",
    spec: { analysis: { ...guarded, stepWeights: [50], stepWeightPromotion: 25, metrics: errors } },
    signals: (canary) => ({ ...quiet, outage: canary?.status?.phase === "Promoting" }),
    isReady: (deployment) => !deployment.metadata.name.endsWith("-primary") || image(deployment) === "app:1",
    ends: "Failed",
  },
  {
    name: "A/B testing",
    spec: { analysis: { ...plan, iterations: 2, match, metrics: errors } },
    ends: "Succeeded",
  },
  {
    name: "A/B testing, rolled back by the trip wire",
    spec: { analysis: { ...guarded, iterations: 3, match, metrics: errors } },
    signals: (canary) => ({ ...quiet, outage: (canary?.status?.iterations ?? 0) >= 1 }),
    ends: "Failed",
  },
  {
    name: "blue/green with a mirror",
    spec: { analysis: { ...plan, iterations: 2, mirror: true, mirrorWeight: 50, metrics: errors } },
    ends: "Succeeded",
  },
  {
    name: "blue/green, rolled back after the switch",
    spec: { analysis: { ...guarded, iterations: 1, metrics: errors } },
    signals: (canary) => ({ ...quiet, outage: canary?.status?.canaryWeight === 100 }),
    ends: "Failed",
  },
  {
    name: "blue/green without a mesh",
    spec: { provider: "kubernetes", analysis: { ...plan, iterations: 2 } },
    ends: "Succeeded",
  },
  {
    name: "weights with a mirror and session affinity",
    spec: {
      analysis: {
        ...plan,
        stepWeights: [20, 60],
        mirror: true,
        sessionAffinity: { cookieName: "version" },
        metrics: errors,
      },
    },
    ends: "Succeeded",
  },
  {
    name: "weights by the Gateway API",
    spec: {
      provider: "gatewayapi:v1",
      service: { port: 80, targetPort: 8080, gatewayRefs: [{ name: "public" }] },
      analysis: { ...plan, stepWeights: [20, 60], metrics: errors },
    },
    ends: "Succeeded",
  },
  {
    name: "no analysis",
    spec: { skipAnalysis: true },
    ends: "Succeeded",
  },
];
