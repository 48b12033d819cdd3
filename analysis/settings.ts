/** From a Canary, as `api/canary/read.ts` gives it, to how its runs are analysed. */
import type { ReadAnalysis, ReadCanary, ReadMetric } from "../api/canary/types.ts";
import { type Problem, refOf } from "../api/resource.ts";
import { bucketBounds } from "../api/signals.ts";
import type { RunSettings, ShieldSettings } from "./analyst.ts";
import { preparePair } from "./checks/pair.ts";
import { type MetricSources, prepareMetric } from "./checks/prepare.ts";
import {
  guardJudge,
  type JudgeBase,
  type SequentialSettings,
  type SeriesTest,
  sequentialDefaults,
  sequentialJudge,
} from "./judge/settings.ts";
import type { AdvanceSettings, JudgeSettings } from "./judge/types.ts";

/**
 * How runs of this Canary are analysed.
 *
 * @returns settings, which are always usable, and what of the Canary could not be carried out
 */
export function readRunSettings(
  canary: ReadCanary,
  sources: MetricSources,
): { readonly settings: RunSettings; readonly problems: readonly Problem[] } {
  const { analysis } = canary;
  const prepared = analysis.metrics.map((metric) => prepareMetric(metric, canary, sources));
  const resource = refOf(canary.object);
  const problems = prepared.flatMap(({ problem, warning }, index): Problem[] => {
    const at = { resource, field: `/spec/analysis/metrics/${index}` };
    if (problem !== undefined) return [{ ...at, message: problem }];
    return warning === undefined ? [] : [{ ...at, message: warning, severity: "warning" }];
  });
  const compared = analysis.metrics.map((metric) => preparePair(metric, canary, sources));
  for (const [index, pair] of compared.entries()) {
    if (pair?.kind !== "problem" || prepared[index]?.problem !== undefined) continue;
    const field = `/spec/analysis/metrics/${index}`;
    problems.push({ resource, field, message: pair.message });
  }
  const pairs = compared.flatMap((one) => (one?.kind === "pair" ? [one.pair] : []));
  const { bounds: _, ...base } = judgeBase(analysis);
  const metrics = prepared.map(({ metric }) => metric);
  return {
    settings: {
      judge: judgeOf(
        analysis,
        pairs.flatMap(({ test }) => test ?? []),
      ),
      ...(pairs.length > 0 && { pairs }),
      tripWire: analysis.guard.tripWire,
      ...(analysis.shield && { shield: shieldSettings(analysis) }),
      advance: advanceSettings(analysis),
      // With `sequential` the judge has the built-in metrics; the others stay checks.
      metrics: analysis.sequential === undefined ? metrics : metrics.filter(({ kind }) => kind !== "signals"),
      ...(analysis.sequential && { poll: analysis.sequential.poll }),
      record: { canary: canary.name, mode: analysis.record, base },
    },
    problems,
  };
}

/**
 * The judge of an analysis: `sequential` where asked, else the guard. None where nothing can be compared: the guard is
 * off or has no threshold to watch, or no primary takes comparable traffic at the same time (A/B, blue/green).
 */
function judgeOf(analysis: ReadAnalysis, series: readonly SeriesTest[]): JudgeSettings | undefined {
  const base = judgeBase(analysis);
  const sequential = sequentialSettings(analysis);
  if (analysis.strategy.kind !== "weights" && sequential?.compare !== "threshold") return undefined;
  const judge =
    sequential === undefined
      ? guardJudge(base, analysis.guard)
      : sequentialJudge(base, { ...sequential, series });
  const shield = analysis.shield && shieldSettings(analysis).byWeight;
  return judge && shield ? { ...judge, shield } : judge;
}

/** The same where the weight does not tell the canary's share: a route of the user's may lead other requests to the primary. */
export function withoutShares(settings: RunSettings): RunSettings {
  const { judge, shield } = settings;
  if (shield === undefined) return settings;
  return { ...settings, judge: judge && withoutShare(judge), shield: { ...shield, byWeight: false } };
}

function withoutShare(settings: JudgeSettings): JudgeSettings {
  const { shield: _, ...judge } = settings;
  return judge;
}

/** How a shielded canary's attempts are looked at. */
export function shieldSettings({
  interval,
  strategy,
  sessionAffinity,
  preview,
}: ReadAnalysis): ShieldSettings {
  const apart = strategy.kind !== "weights" || strategy.match.length > 0 || preview.length > 0;
  return { interval, byWeight: !apart && sessionAffinity === undefined };
}

/** What every judge of this analysis shares: pace, weights, and the author's thresholds for the built-in metrics. */
export function judgeBase(analysis: ReadAnalysis): JudgeBase {
  const minSuccess = metricOf(analysis, "request-success-rate")?.range.min;
  const maxDuration = metricOf(analysis, "request-duration")?.range.max;
  return {
    bounds: bucketBounds,
    interval: analysis.interval,
    steps: analysis.strategy.kind === "weights" ? analysis.strategy.steps : [100],
    ...(minSuccess === undefined ? {} : { minSuccess }),
    ...(maxDuration === undefined ? {} : { maxDuration }),
  };
}

/** `spec.analysis.sequential` and what single metrics say otherwise, in fractions; undefined where it is not asked. */
export function sequentialSettings(analysis: ReadAnalysis): SequentialSettings | undefined {
  const { sequential } = analysis;
  if (sequential === undefined) return undefined;
  const errors = metricOf(analysis, "request-success-rate")?.sequential ?? sequential;
  const latency = metricOf(analysis, "request-duration")?.sequential;
  return {
    compare: sequential.compare,
    alpha: sequential.alpha,
    beta: sequential.beta,
    freeRequests: sequential.freeRequests,
    errors: tolerance(errors),
    latency:
      latency === undefined
        ? sequentialDefaults.latency
        : {
            ...tolerance(latency),
            tails: latency.percentiles.map((percentile) => Number((1 - percentile / 100).toFixed(8))),
            warmup: latency.warmup,
          },
  };
}

/** What the step rule needs of an analysis. Its weights are empty where the strategy has none. */
export function advanceSettings(analysis: ReadAnalysis): AdvanceSettings {
  const { strategy, threshold, noData, providerErrors, deadline, onInconclusive } = analysis;
  return {
    rule: analysis.sequential === undefined ? "flagger" : "sequential",
    steps: strategy.kind === "weights" ? strategy.steps : [],
    threshold,
    noData,
    providerErrors,
    deadline,
    onInconclusive,
  };
}

function metricOf(analysis: ReadAnalysis, kind: ReadMetric["kind"]): ReadMetric | undefined {
  return analysis.metrics.find((metric) => metric.kind === kind);
}

/** Percent more and percentage points, as factor and fractions. */
function tolerance({ relative, absolute, mde }: { relative: number; absolute: number; mde: number }): {
  rho: number;
  delta: number;
  mde: number;
} {
  return { rho: 1 + relative / 100, delta: absolute / 100, mde: mde / 100 };
}
