import type { CanaryMetric, ThresholdRange } from "../generated/canaries.ts";
import { below } from "../schema/pointer.ts";
import { suggest } from "../schema/suggest.ts";
import { type Report, readDuration } from "./fields.ts";
import { readMetricSequential } from "./sequential.ts";
import type { ReadMetric, ReadSequential } from "./types.ts";

const builtIn = ["request-success-rate", "request-duration"] as const;

/** The checks of an analysis. `namespace` is the Canary's: a template stands there unless its reference says otherwise. */
export function readMetrics(
  metrics: readonly CanaryMetric[],
  field: string,
  { namespace, sequential }: { readonly namespace: string; readonly sequential: ReadSequential | undefined },
  report: Report,
): ReadMetric[] {
  const names = new Map<string, number>();
  return metrics.flatMap((metric, index) => {
    const at = below(field, index);
    const twin = names.get(metric.name);
    if (twin !== undefined)
      report(
        below(at, "name"),
        `is \`${metric.name}\`, as metric ${twin} is: their results cannot be told apart`,
        "warning",
      );
    names.set(metric.name, index);
    if (metric.sequential && !sequential)
      report(
        below(at, "sequential"),
        "is ignored: it counts with `spec.analysis.sequential` alone",
        "warning",
      );
    const measured = whatIsMeasured(metric, at, namespace, report);
    if (!measured) return [];
    return [
      {
        ...measured,
        name: metric.name,
        interval: readDuration(
          metric.interval,
          below(at, "interval"),
          { least: 1000, fallback: 60_000 },
          report,
        ),
        range: readRange(metric, at, report),
        variables: metric.templateVariables ?? {},
        ...(metric.counts && { counts: metric.counts }),
        ...(sequential && {
          sequential: readMetricSequential(metric, below(at, "sequential"), sequential, report),
        }),
      },
    ];
  });
}

type Measured =
  | { readonly kind: (typeof builtIn)[number] }
  | { readonly kind: "query"; readonly query: string }
  | { readonly kind: "template"; readonly template: { readonly namespace: string; readonly name: string } };

/** In Flagger's order: a template counts before a query, a query before the built-in check of that name. */
function whatIsMeasured(
  metric: CanaryMetric,
  at: string,
  namespace: string,
  report: Report,
): Measured | undefined {
  if (metric.templateRef) return { kind: "template", template: { namespace, ...metric.templateRef } };
  if (metric.query !== undefined && metric.query !== "") return { kind: "query", query: metric.query };
  const kind = builtIn.find((name) => name === metric.name);
  if (kind) return { kind };
  report(
    below(at, "name"),
    `is \`${metric.name}\`, which is no built-in check: ${suggest(metric.name, builtIn)} (or give \`templateRef\`)`,
  );
  return undefined;
}

/**
 * What still passes. The deprecated `threshold` is the least success rate, and the most of anything else; with neither
 * it nor `thresholdRange` any success rate passes and any other value above 0 fails, as in Flagger.
 */
function readRange(metric: CanaryMetric, at: string, report: Report): ThresholdRange {
  const { name, threshold, thresholdRange } = metric;
  if (thresholdRange) {
    const { min, max } = thresholdRange;
    if (min !== undefined && max !== undefined && min > max)
      report(below(at, "thresholdRange"), `has min \`${min}\` above max \`${max}\`: nothing passes`);
    if (threshold !== undefined)
      report(below(at, "threshold"), "is ignored: `thresholdRange` counts", "warning");
    return thresholdRange;
  }
  if (name === "request-success-rate") return threshold === undefined ? {} : { min: threshold };
  if (threshold === undefined) report(at, "has no `thresholdRange`: any value above 0 fails", "warning");
  return { max: threshold ?? 0 };
}
