import { histogramQuantile } from "../checks/quantile.ts";
import { isHigh } from "../judge/mann-whitney.ts";
import { binomial } from "../simulate/counts.ts";
import type { Random } from "../simulate/random.ts";
import type { Rule } from "./rules.ts";
import type { SecondCounts } from "./trace.ts";

/** The weight at which Kayenta's run stays: canary and a baseline of the same size beside it. */
const weight = 10;
/** Minutes at which the run is judged; the last promotes. */
const looks = [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60];

interface Minute {
  requests: number;
  failed: number;
  buckets: number[];
}

/**
 * Kayenta's judge as its documentation sets it up: error rate and P99 of each minute, canary against a baseline of the
 * same size taken from the primary, judged each five minutes for an hour; one metric that is `High` ends the run.
 */
export function kayentaRule(bounds: readonly number[], random: Random): Rule {
  const empty = (): Minute => ({ requests: 0, failed: 0, buckets: [...bounds, 0].map(() => 0) });
  let baseline = empty();
  let canary = empty();
  const series = { baseline: [[], []], canary: [[], []] } as Record<
    "baseline" | "canary",
    [number[], number[]]
  >;
  return {
    past: false,
    weights: [weight],
    second(t, counts) {
      thin(counts, baseline, random);
      add(canary, counts.canary);
      if (t % 60 !== 0) return "hold";
      for (const [points, minute] of [
        [series.baseline, baseline],
        [series.canary, canary],
      ] as const) {
        points[0].push(minute.requests > 0 ? minute.failed / minute.requests : 0);
        const p99 = histogramQuantile(0.99, minute.buckets, bounds);
        points[1].push(Number.isNaN(p99) ? 0 : p99);
      }
      baseline = empty();
      canary = empty();
      if (!looks.includes(t / 60)) return "hold";
      if ([0, 1].some((metric) => isHigh(series.canary[metric] ?? [], series.baseline[metric] ?? [])))
        return "roll back";
      return t / 60 === looks.at(-1) ? "promote" : "hold";
    },
    logE: () => null,
  };
}

/** A baseline as large as the canary: the primary's first half, thinned to that size. */
function thin({ canary, primary: [first, second] }: SecondCounts, into: Minute, random: Random): void {
  const share = Math.min(1, canary.requests / Math.max(first.requests, 1));
  into.requests += binomial(random, first.requests, share);
  into.failed += binomial(random, first.failed, share);
  const ofAll = Math.min(1, canary.requests / Math.max(first.requests + second.requests, 1));
  for (const [bucket, count] of first.buckets.entries()) {
    into.buckets[bucket] =
      (into.buckets[bucket] ?? 0) + binomial(random, count + (second.buckets[bucket] ?? 0), ofAll);
  }
}

function add(minute: Minute, { requests, failed, buckets }: SecondCounts["canary"]): void {
  minute.requests += requests;
  minute.failed += failed;
  for (const [bucket, count] of buckets.entries())
    minute.buckets[bucket] = (minute.buckets[bucket] ?? 0) + count;
}
