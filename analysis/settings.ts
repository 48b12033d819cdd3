/** From a Canary to how its runs are analysed: defaults applied, percent turned into fractions. */

import type { Canary } from "../api/kinds.ts";
import type { Problem } from "../api/resource.ts";
import { bucketBounds } from "../api/signals.ts";
import { type Milliseconds, parseDuration } from "../lib/units.ts";
import type { RunSettings } from "./analyst.ts";
import { type MetricSources, readMetric } from "./checks/read.ts";
import {
  type GuardSettings,
  guardDefaults,
  guardJudge,
  type JudgeBase,
  type SequentialSettings,
  sequentialDefaults,
  sequentialJudge,
} from "./judge/settings.ts";
import { plannedWeights } from "./judge/steps.ts";
import type { AdvanceSettings, JudgeSettings } from "./judge/types.ts";

type Analysis = NonNullable<Canary["spec"]["analysis"]>;
type CanaryMetric = NonNullable<Analysis["metrics"]>[number];

/** Flagger's default pace, and where an interval cannot be read. */
const defaultInterval = 60_000;
const leastInterval = 1000;

/** `spec.analysis`, or its old name `canaryAnalysis`; empty where there is neither. */
export function analysisOf(canary: Canary): Analysis {
  return canary.spec.analysis ?? canary.spec.canaryAnalysis ?? {};
}

/** `spec.analysis.interval` in milliseconds: default 60 s, at least 1 s (Flagger: 10 s). */
export function analysisInterval(analysis: Analysis): Milliseconds {
  return Math.max(duration(analysis.interval, defaultInterval), leastInterval);
}

/**
 * How runs of this Canary are analysed.
 *
 * @returns settings, which are always usable, and what of the Canary could not be carried out
 */
export function readRunSettings(
  canary: Canary,
  sources: MetricSources,
): { settings: RunSettings; problems: Problem[] } {
  const analysis = analysisOf(canary);
  const problems: Problem[] = [];
  const metrics = (analysis.metrics ?? []).map((metric, index) => {
    const read = readMetric(metric, canary, sources);
    if (read.problem !== undefined) {
      const { kind, metadata } = canary;
      const resource = {
        kind,
        ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
        name: metadata.name,
      };
      problems.push({ resource, field: `/spec/analysis/metrics/${index}`, message: read.problem });
    }
    return read.metric;
  });
  const guard = readGuard(analysis.guard);
  return {
    settings: {
      judge: readJudge(analysis, guard),
      tripWire: guard?.tripWire ?? false,
      advance: readAdvance(analysis),
      // With `sequential` the judge has the built-in metrics; the others stay checks.
      metrics:
        analysis.sequential === undefined ? metrics : metrics.filter((metric) => metric.kind !== "signals"),
    },
    problems,
  };
}

/** The judge of `spec.analysis`: `sequential` where asked, else the guard, else none. */
function readJudge(
  analysis: Analysis,
  guard: (GuardSettings & { readonly tripWire: boolean }) | undefined,
): JudgeSettings | undefined {
  const base = readJudgeBase(analysis);
  if (base.steps.length === 0) return undefined;
  if (analysis.sequential !== undefined) return sequentialJudge(base, readSequentialOf(analysis));
  return guard === undefined ? undefined : guardJudge(base, guard);
}

/** What every judge of this analysis shares: pace, weights, and the author's thresholds for the built-in metrics. */
export function readJudgeBase(analysis: Analysis): JudgeBase {
  const success = metricOf(analysis, "request-success-rate");
  const latency = metricOf(analysis, "request-duration");
  const minSuccess = success?.thresholdRange?.min ?? success?.threshold;
  const maxDuration = latency?.thresholdRange?.max ?? latency?.threshold;
  return {
    bounds: bucketBounds,
    interval: analysisInterval(analysis),
    steps: plannedWeights(analysis),
    ...(minSuccess === undefined ? {} : { minSuccess }),
    ...(maxDuration === undefined ? {} : { maxDuration }),
  };
}

/** `spec.analysis.sequential` and what single metrics say otherwise; all defaults where absent. */
export function readSequentialOf(analysis: Analysis): SequentialSettings {
  const success = metricOf(analysis, "request-success-rate");
  return readSequential(analysis.sequential ?? {}, success, metricOf(analysis, "request-duration"));
}

function metricOf(analysis: Analysis, wanted: string): CanaryMetric | undefined {
  return analysis.metrics?.find(({ name }) => name === wanted);
}

function readSequential(
  sequential: NonNullable<Analysis["sequential"]>,
  success: CanaryMetric | undefined,
  latency: CanaryMetric | undefined,
): SequentialSettings {
  const { errors, latency: tails, ...defaults } = sequentialDefaults;
  const errorsOwn = { ...sequential, ...success?.sequential };
  const latencyOwn = latency?.sequential;
  return {
    compare: sequential.compare ?? defaults.compare,
    alpha: sequential.alpha ?? defaults.alpha,
    beta: sequential.beta ?? defaults.beta,
    freeRequests: sequential.freeRequests ?? defaults.freeRequests,
    errors: {
      rho: relative(errorsOwn.relative, errors.rho),
      delta: fraction(errorsOwn.absolute, errors.delta),
      mde: fraction(errorsOwn.mde, errors.mde),
    },
    latency: {
      rho: relative(latencyOwn?.relative, tails.rho),
      delta: fraction(latencyOwn?.absolute, tails.delta),
      mde: fraction(latencyOwn?.mde, tails.mde),
      tails:
        latencyOwn?.percentiles?.map((percentile) => Number((1 - percentile / 100).toFixed(8))) ??
        tails.tails,
      warmup: duration(latencyOwn?.warmup, tails.warmup),
    },
  };
}

/** `spec.analysis.guard`: on where it is not said; undefined where off. */
export function readGuard(
  guard: Analysis["guard"],
): (GuardSettings & { readonly tripWire: boolean }) | undefined {
  if (guard === "off" || guard === false) return undefined;
  if (guard === undefined || guard === "on" || guard === true) return { ...guardDefaults, tripWire: true };
  const on = (setting: unknown): boolean => setting !== "off" && setting !== false;
  return {
    tripWire: on(guard.tripWire),
    errors: on(guard.errors),
    latency: on(guard.latency),
    alpha:
      typeof guard.alpha === "number" && guard.alpha > 0 && guard.alpha < 1
        ? guard.alpha
        : guardDefaults.alpha,
    warmup:
      typeof guard.warmup === "string" ? duration(guard.warmup, guardDefaults.warmup) : guardDefaults.warmup,
  };
}

/** What the step rule needs of `spec.analysis`. */
export function readAdvance(analysis: Analysis): AdvanceSettings {
  return {
    rule: analysis.sequential === undefined ? "flagger" : "sequential",
    steps: plannedWeights(analysis),
    threshold: analysis.threshold === undefined || analysis.threshold < 1 ? 1 : analysis.threshold,
    noData: analysis.noData ?? "hold",
    providerErrors: analysis.providerErrors ?? "hold",
    deadline: duration(analysis.deadline, 4 * 3_600_000),
    onInconclusive: analysis.onInconclusive ?? "hold",
  };
}

function duration(text: string | undefined, fallback: Milliseconds): Milliseconds {
  const read = text === undefined ? undefined : parseDuration(text);
  return read === undefined || read < 0 ? fallback : read;
}

const relative = (percent: number | undefined, fallback: number): number =>
  percent === undefined ? fallback : 1 + percent / 100;
const fraction = (percent: number | undefined, fallback: number): number =>
  percent === undefined ? fallback : percent / 100;
