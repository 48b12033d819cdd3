import { bucketBounds } from "../../api/signals.ts";
import type { Recent, Span } from "../series/recent.ts";
import type { Metric } from "./metric.ts";
import { histogramQuantile } from "./quantile.ts";
import { checkValue, noData } from "./threshold.ts";
import type { Check } from "./types.ts";

type SignalsMetric = Extract<Metric, { kind: "signals" }>;

/**
 * A built-in check from the proxies' own counters of the interval that ends at `now`: the percentage of requests
 * without a 5xx answer, or the P99 duration in whole milliseconds. Reads the destination's side, as Flagger's queries
 * do; the callers' where no destination reports. Behind a shield both, and the worse counts: the callers alone know
 * that an attempt was given up, the destination alone how a gRPC request ended that no shield covers.
 */
export function checkSignals(metric: SignalsMetric, recent: Recent, now: number): Check {
  const { name, range, interval } = metric;
  const [destination, client] = (["destination", "client"] as const).map((side) =>
    recent.span(side, interval, now),
  );
  const seen = [destination, client].flatMap((span) => (span && span.requests > 0 ? [span] : []));
  const [first, ...others] = seen.map((span) => checkSpan(metric, span));
  if (first === undefined) {
    return noData(
      name,
      range,
      `no values found for metric ${name}: no request reached the canary in ${interval / 1000} s`,
    );
  }
  if (!metric.shielded) return first;
  const all = [first, ...others];
  return (
    all.find(({ kind }) => kind === "failed") ?? all.find(({ kind }) => kind === "inconclusive") ?? first
  );
}

function checkSpan(metric: SignalsMetric, span: Span): Check {
  const { name, range, measure } = metric;
  const { requests, failed } = span;
  const check =
    measure === "request-success-rate"
      ? checkValue(name, (100 * (requests - failed)) / requests, range)
      : checkDuration(metric, span);
  return { ...check, samples: requests };
}

function checkDuration({ name, range }: SignalsMetric, { buckets, latencyKnown }: Span): Check {
  if (!latencyKnown)
    return noData(name, range, `${name}: a part of the latencies of this interval is missing`);
  const p99 = histogramQuantile(0.99, buckets, bucketBounds);
  return checkValue(name, Math.trunc(p99), wholeRange(range));
}

/** Flagger compares durations in whole milliseconds, limits too. */
export function wholeRange({ min, max }: SignalsMetric["range"]): SignalsMetric["range"] {
  return {
    ...(min === undefined ? {} : { min: Math.trunc(min) }),
    ...(max === undefined ? {} : { max: Math.trunc(max) }),
  };
}
