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
 * do; the callers' where no destination reports, and always behind a shield, where they alone know that an attempt was
 * given up.
 */
export function checkSignals(metric: SignalsMetric, recent: Recent, now: number): Check {
  const { name, range, interval } = metric;
  const destination = recent.span("destination", interval, now);
  const span =
    destination.requests > 0 && !metric.shielded ? destination : recent.span("client", interval, now);
  if (span.requests === 0) {
    return noData(
      name,
      range,
      `no values found for metric ${name}: no request reached the canary in ${interval / 1000} s`,
    );
  }
  const check =
    metric.measure === "request-success-rate"
      ? checkValue(name, (100 * (span.requests - span.failed)) / span.requests, range)
      : checkDuration(metric, span);
  return { ...check, samples: span.requests };
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
