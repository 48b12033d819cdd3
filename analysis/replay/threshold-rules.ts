import type { Milliseconds, Percent } from "../../lib/units.ts";
import { histogramQuantile } from "../checks/quantile.ts";
import type { Rule, Ruling } from "./rules.ts";
import type { SecondCounts } from "./trace.ts";

/** What the peers' rules are told. Times in seconds. */
export interface ThresholdSettings {
  readonly interval: number;
  readonly window: number;
  readonly minSuccess: Percent;
  readonly maxDuration: Milliseconds;
  readonly bounds: readonly number[];
  readonly steps: readonly Percent[];
}

/**
 * Flagger's own rule, to the letter: at each interval a success rate or P99 out of range (or no data) counts, and the
 * next tick that finds `threshold` of them rolls back.
 */
export function flaggerRule(settings: ThresholdSettings, threshold: number): Rule {
  let failed = 0;
  return eachInterval(settings, ({ success, p99 }, move) => {
    if (failed >= threshold) return "roll back";
    if (success >= settings.minSuccess && p99 <= settings.maxDuration) return move;
    failed += 1;
    return "hold";
  });
}

/** Flagger's rule as it is carried out here: no data holds, and the check that reaches the threshold rolls back at once. */
export function ownThresholdRule(settings: ThresholdSettings, threshold: number): Rule {
  let failed = 0;
  return eachInterval(settings, ({ success, p99 }, move) => {
    if (Number.isNaN(success) || Number.isNaN(p99)) return "hold";
    if (success >= settings.minSuccess && p99 <= settings.maxDuration) return move;
    failed += 1;
    return failed >= threshold ? "roll back" : "hold";
  });
}

/** Argo Rollouts' background analysis of the success rate: more than `limit` failures abort; steps go on meanwhile. */
export function argoRule(settings: ThresholdSettings, limit: number): Rule {
  let failed = 0;
  return eachInterval(settings, ({ success }, move) => {
    if (!(success >= settings.minSuccess)) failed += 1;
    return failed > limit ? "roll back" : move;
  });
}

interface Measured {
  /** Percent; NaN where the canary had no requests. */
  readonly success: number;
  /** Milliseconds; NaN where it had none. */
  readonly p99: number;
}

/** Calls `tick` at the end of each interval with what the canary did in the last `window` seconds. */
function eachInterval(
  { interval, window, bounds, steps }: ThresholdSettings,
  tick: (measured: Measured, move: "step" | "promote") => Ruling,
): Rule {
  let seconds: SecondCounts["canary"][] = [];
  return {
    past: false,
    second(t, { canary }, weight) {
      seconds = [...seconds, canary].slice(-window);
      if (t % interval !== 0) return "hold";
      const requests = seconds.reduce((sum, second) => sum + second.requests, 0);
      const failed = seconds.reduce((sum, second) => sum + second.failed, 0);
      const buckets = [...bounds, 0].map((_, bucket) =>
        seconds.reduce((sum, second) => sum + (second.buckets[bucket] ?? 0), 0),
      );
      const measured = {
        success: (100 * (requests - failed)) / requests,
        p99: histogramQuantile(0.99, buckets, bounds),
      };
      return tick(measured, weight >= (steps.at(-1) ?? 0) ? "promote" : "step");
    },
    logE: () => null,
  };
}
