import type { CanaryMetric, Sequential } from "../generated/canaries.ts";
import { below } from "../schema/pointer.ts";
import { type Report, readDuration, readNumber } from "./fields.ts";
import type { ReadMetricSequential, ReadSequential } from "./types.ts";

/** `spec.analysis.sequential` with its defaults. */
export function readSequential(sequential: Sequential, field: string, report: Report): ReadSequential {
  const chance = (name: "alpha" | "beta", fallback: number) => {
    const value = sequential[name];
    if (value !== undefined && !(value > 0 && value < 1))
      report(below(field, name), `is \`${value}\`, must be a chance above 0 and below 1 such as ${fallback}`);
    return value ?? fallback;
  };
  return {
    compare: sequential.compare ?? "primary",
    alpha: chance("alpha", 0.01),
    beta: chance("beta", 0.1),
    mde: sequential.mde ?? 2,
    relative: sequential.relative ?? 10,
    absolute: sequential.absolute ?? 0.05,
    poll: readDuration(sequential.poll, below(field, "poll"), { least: 1000, fallback: 1000 }, report),
    freeRequests: readNumber(
      sequential.freeRequests,
      below(field, "freeRequests"),
      { least: 0, fallback: 20 },
      report,
    ),
  };
}

/** Whether it is measured by the proxies' own counters: as in Flagger a template or a query comes before the name. */
function isBuiltIn({ name, templateRef, query }: CanaryMetric): boolean {
  return !templateRef && !query && (name === "request-success-rate" || name === "request-duration");
}

/** A metric's own part of the sequential test; latencies vary more than errors, hence their wider defaults. */
export function readMetricSequential(
  metric: CanaryMetric,
  field: string,
  all: ReadSequential,
  report: Report,
): ReadMetricSequential {
  const own = metric.sequential ?? {};
  if (own.test && (metric.counts || isBuiltIn(metric)))
    report(below(field, "test"), "is ignored: this metric has counts, which say more", "warning");
  const latency = metric.name === "request-duration";
  const warmup = latency ? 60_000 : 0;
  const percentiles = own.percentiles ?? [90, 99, 99.9];
  percentiles.forEach((percentile, index) => {
    if (percentile <= 0 || percentile >= 100)
      report(
        below(below(field, "percentiles"), index),
        `is \`${percentile}\`, must be above 0 and below 100`,
      );
  });
  return {
    relative: own.relative ?? (latency ? 50 : all.relative),
    absolute: own.absolute ?? (latency ? 0.5 : all.absolute),
    mde: own.mde ?? (latency ? 5 : all.mde),
    percentiles,
    warmup: readDuration(own.warmup, below(field, "warmup"), { least: 0, fallback: warmup }, report),
    ...(own.test && { test: own.test }),
  };
}
