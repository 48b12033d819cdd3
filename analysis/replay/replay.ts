import { readCanary } from "../../api/canary/read.ts";
import type { ReadCanary } from "../../api/canary/types.ts";
import type { Percent } from "../../lib/units.ts";
import { nextWeight } from "../judge/steps.ts";
import { judgeBase, sequentialSettings } from "../settings.ts";
import { createRule, type RuleName } from "./create-rule.ts";
import { countsAt, type Trace } from "./trace.ts";

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
  const { bounds, seed } = trace.head;
  const base = { ...judgeBase(analysis), bounds };
  const { guard, threshold } = analysis;
  const judge = createRule(rule, { base, threshold, guard, sequential: sequentialSettings(analysis) }, seed);
  const steps = judge.weights ?? base.steps;
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
