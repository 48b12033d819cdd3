/** The rules that are compared, as their projects' examples set them up, for a Canary as in Flagger's examples. */
import { guardJudge, sequentialJudge } from "../../analysis/judge/settings.ts";
import { evidenceRule } from "../../analysis/replay/evidence.ts";
import { groupSequentialRule } from "../../analysis/replay/group-sequential.ts";
import { kayentaRule } from "../../analysis/replay/kayenta.ts";
import type { Rule } from "../../analysis/replay/rules.ts";
import { argoRule, flaggerRule, type ThresholdSettings } from "../../analysis/replay/threshold-rules.ts";
import { createRandom } from "../../analysis/simulate/random.ts";

/** Latency buckets in use, of Istio's defaults, milliseconds. */
export const bounds = [25, 50, 100, 250, 500, 1000, 2500];
/** stepWeight 5, maxWeight 50. */
export const steps = [5, 10, 15, 20, 25, 30, 35, 40, 45, 50];

const base = { bounds, interval: 60_000, steps, minSuccess: 99, maxDuration: 500 };
const thresholds: ThresholdSettings = {
  interval: 60,
  window: 60,
  minSuccess: 99,
  maxDuration: 500,
  bounds,
  steps,
};
export const sequential = sequentialJudge(base);
const guard = guardJudge(base);

/** A rule by the name that people know it by; `seed` for those that draw at random. */
export const rules = {
  fairlead: () => evidenceRule(sequential, 1),
  guard: () => {
    if (guard === undefined) throw new RangeError("the guard has nothing to watch");
    return evidenceRule(guard, 1);
  },
  flagger: () => flaggerRule(thresholds, 5),
  flagger10s: () => flaggerRule({ ...thresholds, interval: 10 }, 5),
  argo: () => argoRule(thresholds, 3),
  kayenta: (seed) => kayentaRule(bounds, createRandom(seed, "kayenta")),
  groupSequential: () => groupSequentialRule(thresholds),
} as const satisfies Readonly<Record<string, (seed: number) => Rule>>;

export type RuleName = keyof typeof rules;

/** Columns of the tables. */
export const titles: Readonly<Record<RuleName, string>> = {
  fairlead: "fairlead",
  guard: "guard",
  flagger: "Flagger 60s/5",
  flagger10s: "Flagger 10s/5",
  argo: "Argo limit 3",
  kayenta: "Kayenta 5 min",
  groupSequential: "group seq.",
};

export const ruleNames = Object.keys(rules) as readonly RuleName[];

/** Seconds after which a run without a verdict is called held. */
export const longest = (rule: RuleName): number => (rule === "fairlead" ? 14_400 : 3_600);
