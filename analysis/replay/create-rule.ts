import {
  type GuardSettings,
  guardJudge,
  type JudgeBase,
  type SequentialSettings,
  sequentialJudge,
} from "../judge/settings.ts";
import { createRandom } from "../simulate/random.ts";
import { evidenceRule } from "./evidence.ts";
import { groupSequentialRule } from "./group-sequential.ts";
import { kayentaRule } from "./kayenta.ts";
import type { Rule } from "./rules.ts";
import { argoRule, flaggerRule, type ThresholdSettings } from "./threshold-rules.ts";

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

/** What rules need to know of an analysis. */
export interface RuleSettings {
  readonly base: JudgeBase;
  /** Failed checks at which Flagger rolls back. */
  readonly threshold: number;
  readonly guard?: GuardSettings;
  readonly sequential?: SequentialSettings | undefined;
}

/**
 * A rule that has seen nothing. `seed` is for those that draw at random.
 *
 * @throws {RangeError} for a guard that has nothing to watch
 */
export function createRule(rule: RuleName, settings: RuleSettings, seed: number): Rule {
  const { base, threshold } = settings;
  const thresholds = thresholdsOf(base);
  switch (rule) {
    case "fairlead":
    case "fairlead-5s":
      return evidenceRule(sequentialJudge(base, settings.sequential), rule === "fairlead" ? 1 : 5);
    case "guard": {
      const guard = guardJudge(base, settings.guard);
      if (guard === undefined) {
        throw new RangeError(
          "the guard has nothing to watch: give request-success-rate or request-duration a threshold",
        );
      }
      return evidenceRule(guard, 1);
    }
    case "flagger":
      return flaggerRule(thresholds, threshold);
    case "flagger-10s":
      return flaggerRule({ ...thresholds, interval: 10 }, threshold);
    case "argo":
      return argoRule(thresholds, 3);
    case "kayenta":
      return kayentaRule(base.bounds, createRandom(seed, "kayenta"));
    case "group-sequential":
      return groupSequentialRule(thresholds);
  }
}

/** What rules that know thresholds alone are told, on checks that look back a minute. */
export function thresholdsOf(base: JudgeBase): ThresholdSettings {
  return {
    interval: base.interval / 1000,
    window: 60,
    minSuccess: base.minSuccess ?? 0,
    maxDuration: base.maxDuration ?? Number.POSITIVE_INFINITY,
    bounds: base.bounds,
    steps: base.steps,
  };
}
