import type { PairReading } from "../checks/measure-pair.ts";
import type { PairedMetric } from "../checks/pair.ts";
import { noData } from "../checks/threshold.ts";
import type { Check } from "../checks/types.ts";
import { isHigh } from "../judge/mann-whitney.ts";
import type { SeriesGrowth } from "../judge/types.ts";

/** Moments that a Mann-Whitney check compares: at least, at most. */
const least = 8;
const most = 240;

/** What providers told of canary and primary in one run. */
export interface Pairs {
  /** Takes a reading of `pair`; what the same scrape told before adds nothing. */
  take(pair: PairedMetric, reading: PairReading): void;
  /** What came since it was asked last. */
  drain(): readonly SeriesGrowth[];
  /** A check of each metric that is judged by Mann-Whitney. */
  checks(pairs: readonly PairedMetric[]): readonly Check[];
}

/** Keeps readings. Counters that fell lost a pod: they count from there on, since the others' past is not new. */
export function createPairs(): Pairs {
  const last = new Map<string, PairReading>();
  const history = new Map<string, { canary: number; primary: number }[]>();
  let pending: SeriesGrowth[] = [];
  return {
    take(pair, reading) {
      const { name: metric } = pair;
      const before = last.get(metric);
      last.set(metric, reading);
      if (reading.kind === "counts") {
        if (before?.kind !== "counts") return;
        const canary = growth(before.canary, reading.canary);
        const primary = growth(before.primary, reading.primary);
        if (canary.requests > 0 || primary.requests > 0 || canary.failed > 0 || primary.failed > 0)
          pending.push({ kind: "counts", metric, canary, primary });
        return;
      }
      const same =
        before?.kind === "values" && before.canary === reading.canary && before.primary === reading.primary;
      if (same) return;
      const { canary, primary } = reading;
      history.set(metric, [...(history.get(metric) ?? []), { canary, primary }].slice(-most));
      if (pair.test !== undefined) pending.push({ kind: "pair", metric, canary, primary });
    },
    drain() {
      // One growth a metric and poll: the rest waits.
      const now = [...new Map(pending.map((one) => [one.metric, one])).values()];
      const taken = now
        .map(({ metric }) => pending.find((one) => one.metric === metric))
        .flatMap((one) => one ?? []);
      pending = pending.filter((one) => !taken.includes(one));
      return taken;
    },
    checks: (pairs) =>
      pairs.flatMap((pair) =>
        pair.kind === "values" && pair.test === undefined
          ? [mannWhitney(pair, history.get(pair.name) ?? [])]
          : [],
      ),
  };
}

type Tally = Extract<PairReading, { kind: "counts" }>["canary"];

function growth(before: Tally, now: Tally): Tally {
  if (now.requests < before.requests || now.failed < before.failed) return { requests: 0, failed: 0 };
  return { requests: now.requests - before.requests, failed: now.failed - before.failed };
}

/** Kayenta's judge on the moments of this run so far: failed where the canary's values are higher (or lower, where that is worse). */
function mannWhitney(
  { name, worse, relative, canary: { range } }: Extract<PairedMetric, { kind: "values" }>,
  moments: readonly { readonly canary: number; readonly primary: number }[],
): Check {
  if (moments.length < least)
    return noData(
      `${name} against the primary`,
      range,
      `${moments.length} of ${least} moments to compare so far`,
    );
  const sign = worse === "higher" ? 1 : -1;
  const of = (arm: "canary" | "primary") => moments.map((moment) => sign * moment[arm]);
  const high = isHigh(of("canary"), of("primary"), worse === "higher" ? 1 + relative / 100 : 1);
  return {
    name: `${name} against the primary`,
    kind: high ? "failed" : "passed",
    threshold: `not ${worse}`,
    samples: moments.length,
    reason: high
      ? `${name} is ${worse} than the primary's, by Mann-Whitney over ${moments.length} moments`
      : `${name} is not ${worse} than the primary's over ${moments.length} moments`,
  };
}
