import { readCanary } from "../../api/canary/read.ts";
import type { ReadAnalysis, ReadCanary } from "../../api/canary/types.ts";
import type { Percent } from "../../lib/units.ts";
import { guardJudge, sequentialJudge } from "../judge/settings.ts";
import { nextWeight } from "../judge/steps.ts";
import { advanceSettings, judgeBase, sequentialSettings } from "../settings.ts";
import { createRandom } from "../simulate/random.ts";
import { evidenceRule } from "./evidence.ts";
import { groupSequentialRule } from "./group-sequential.ts";
import { kayentaRule } from "./kayenta.ts";
import type { Rule } from "./rules.ts";
import { argoRule, flaggerRule, type ThresholdSettings } from "./threshold-rules.ts";
import { countsAt, type Trace } from "./trace.ts";

/** The rules that a trace can be judged by: ours, the guard alone, and the peers'. */
export const ruleNames = [
  "fairlead",
  "fairlead-5s",
  "guard",
  "flagger",
  "flagger-10s",
  "argo",
  "kayenta",
  "group-sequential",
] as const;
export type RuleName = (typeof ruleNames)[number];

export interface ReplayResult {
  readonly verdict: "promoted" | "rolled back" | "held";
  /** Seconds from the run's start to the verdict (or to the end of the trace). */
  readonly t: number;
  /** Evidence of harm at the end, nats; null where the rule has none. */
  readonly logE: number | null;
  /** Changes of the canary's weight: second, percent. */
  readonly weights: readonly (readonly [number, Percent])[];
}

/** What is replayed where no Canary is given: an analysis as in Flagger's examples. */
const defaultCanary = {
  apiVersion: "flagger.app/v1beta1",
  kind: "Canary",
  metadata: { name: "replay", namespace: "default" },
  spec: {
    targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "replay" },
    service: { port: 80 },
    analysis: {
      interval: "60s",
      threshold: 5,
      stepWeight: 5,
      maxWeight: 50,
      metrics: [
        { name: "request-success-rate", thresholdRange: { min: 99 } },
        { name: "request-duration", thresholdRange: { max: 500 } },
      ],
      sequential: {},
    },
  },
};

/**
 * Judges a trace by a rule, closed loop: the weight that the rule sets decides what it sees next. The judge is the one
 * that runs in production, without the trip wire: a trace has a row a second.
 */
export function replay(trace: Trace, rule: RuleName, canary?: ReadCanary): ReplayResult {
  const analysis = (canary ?? readDefault()).analysis;
  const judge = createRule(rule, analysis, trace);
  const steps = judge.weights ?? advanceSettings(analysis).steps;
  const [first] = steps;
  if (first === undefined) throw new RangeError("the canary has no step weights to replay");
  const weights: [number, Percent][] = [[0, first]];
  let weight = first;
  let end = 0;
  for (const second of trace.seconds) {
    if (second.t < 0 && !judge.past) continue;
    end = second.t + 1;
    const ruling = judge.second(end, countsAt(second, weight, trace.head), weight);
    if (ruling === "roll back") return { verdict: "rolled back", t: end, logE: judge.logE(), weights };
    if (ruling === "promote") return { verdict: "promoted", t: end, logE: judge.logE(), weights };
    if (ruling === "step") {
      weight = nextWeight(weight, steps) ?? weight;
      weights.push([end, weight]);
    }
  }
  return {
    verdict: "held",
    t: end,
    logE: judge.logE(),
    weights: weights.filter(([t]) => t < end || t === 0),
  };
}

function readDefault(): ReadCanary {
  const { value, problems } = readCanary(defaultCanary);
  if (value === undefined) throw new RangeError(problems.map(({ message }) => message).join("; "));
  return value;
}

function createRule(rule: RuleName, analysis: ReadAnalysis, { head }: Trace): Rule {
  const base = { ...judgeBase(analysis), bounds: head.bounds };
  const thresholds: ThresholdSettings = {
    interval: analysis.interval / 1000,
    window: 60,
    minSuccess: base.minSuccess ?? 0,
    maxDuration: base.maxDuration ?? Number.POSITIVE_INFINITY,
    bounds: head.bounds,
    steps: base.steps,
  };
  switch (rule) {
    case "fairlead":
    case "fairlead-5s":
      return evidenceRule(sequentialJudge(base, sequentialSettings(analysis)), rule === "fairlead" ? 1 : 5);
    case "guard": {
      const guard = guardJudge(base, analysis.guard);
      if (guard === undefined) {
        throw new RangeError(
          "the guard has nothing to watch: give request-success-rate or request-duration a threshold",
        );
      }
      return evidenceRule(guard, 1);
    }
    case "flagger":
      return flaggerRule(thresholds, analysis.threshold);
    case "flagger-10s":
      return flaggerRule({ ...thresholds, interval: 10 }, analysis.threshold);
    case "argo":
      return argoRule(thresholds, 3);
    case "kayenta":
      return kayentaRule(head.bounds, createRandom(head.seed, "kayenta"));
    case "group-sequential":
      return groupSequentialRule(thresholds);
  }
}
