import type { Fraction, Milliseconds, Percent } from "../../lib/units.ts";
import type { JudgeSettings, TestSettings } from "./types.ts";

/** What every judge of one Canary shares. */
export interface JudgeBase {
  readonly bounds: readonly number[];
  readonly interval: Milliseconds;
  readonly steps: readonly Percent[];
  /** `thresholdRange.min` of request-success-rate, percent; undefined where the Canary does not list it. */
  readonly minSuccess?: Percent;
  /** `thresholdRange.max` of request-duration, milliseconds; undefined where the Canary does not list it. */
  readonly maxDuration?: Milliseconds;
}

/** `spec.analysis.sequential`, in fractions and milliseconds. */
export interface SequentialSettings {
  readonly compare: "primary" | "threshold" | "both";
  readonly alpha: Fraction;
  readonly beta: Fraction;
  readonly errors: { readonly rho: number; readonly delta: Fraction; readonly mde: Fraction };
  readonly latency: {
    readonly rho: number;
    readonly delta: Fraction;
    readonly mde: Fraction;
    /** Percentiles as shares of slower requests: p99 is 0.01. */
    readonly tails: readonly Fraction[];
    readonly warmup: Milliseconds;
  };
  readonly freeRequests: number;
  /** Metrics of providers that are tested beside the proxies' own; none where absent. */
  readonly series?: readonly SeriesTest[];
}

/** A metric that a provider tells for canary and primary. */
export type SeriesTest =
  /** By two counters each: all and bad. */
  | {
      readonly kind: "counts";
      readonly metric: string;
      readonly rho: number;
      readonly delta: Fraction;
      readonly mde: Fraction;
    }
  /** By one value each. */
  | {
      readonly kind: "sign";
      readonly metric: string;
      readonly worse: "higher" | "lower";
      readonly tolerance: Fraction;
    };

export const sequentialDefaults: SequentialSettings = {
  compare: "primary",
  alpha: 0.01,
  beta: 0.1,
  errors: { rho: 1.1, delta: 0.0005, mde: 0.02 },
  latency: { rho: 1.5, delta: 0.005, mde: 0.05, tails: [0.1, 0.01, 0.001], warmup: 60_000 },
  freeRequests: 20,
};

/** Share of alpha that the errors test has; the latency tests divide the rest. */
const errorsShare = 0.6;
/** Share of alpha that metrics of providers have together, where there are any; the proxies' own have the rest. */
const seriesShare = 0.2;

const errorsMetric = "request-success-rate";
const latencyMetric = "request-duration";

/** The judge that `spec.analysis.sequential` asks for. */
export function sequentialJudge(
  base: JudgeBase,
  settings: SequentialSettings = sequentialDefaults,
): JudgeSettings {
  const parts =
    settings.compare === "both"
      ? [
          { tests: againstPrimary(settings), part: 0.5 },
          { tests: againstThreshold(settings, base), part: 0.5 },
        ]
      : [
          {
            tests:
              settings.compare === "primary" ? againstPrimary(settings) : againstThreshold(settings, base),
            part: 1,
          },
        ];
  return {
    method: "sequential",
    bounds: base.bounds,
    interval: base.interval,
    steps: base.steps,
    alpha: settings.alpha,
    beta: settings.beta,
    freeRequests: settings.freeRequests,
    ...(base.minSuccess === undefined ? {} : { allowedErrors: 1 - base.minSuccess / 100 }),
    tests: withSeries(
      parts.flatMap(({ tests, part }) => tests.map((test) => ({ ...test, share: test.share * part }))),
      settings.series ?? [],
    ),
  };
}

function withSeries(tests: readonly TestSettings[], series: readonly SeriesTest[]): readonly TestSettings[] {
  if (series.length === 0) return tests;
  const share = seriesShare / series.length;
  return [
    ...tests.map((test) => ({ ...test, share: test.share * (1 - seriesShare) })),
    ...series.map((one): TestSettings => {
      const { metric } = one;
      const common = { metric, share, compare: "primary", warmup: 0 } as const;
      return one.kind === "counts"
        ? { ...common, name: metric, bad: { kind: "counted" }, rho: one.rho, delta: one.delta, mde: one.mde }
        : {
            ...common,
            name: `${metric} ${one.worse} than the primary's`,
            bad: { kind: "paired", worse: one.worse, tolerance: one.tolerance },
            rho: 1,
            delta: 0,
          };
    }),
  ];
}

function againstPrimary({ errors, latency }: SequentialSettings): TestSettings[] {
  const compare = "primary";
  const proven = nearest(latency.tails, 0.01);
  return [
    {
      name: "errors",
      metric: errorsMetric,
      bad: { kind: "failed" },
      share: latency.tails.length > 0 ? errorsShare : 1,
      ...errors,
      compare,
      warmup: 0,
    },
    ...latency.tails.map(
      (share): TestSettings => ({
        name: `p${Number((100 - share * 100).toFixed(4))}`,
        metric: latencyMetric,
        bad: { kind: "tail", share },
        share: (1 - errorsShare) / latency.tails.length,
        rho: latency.rho,
        delta: latency.delta,
        compare,
        warmup: latency.warmup,
        ...(share === proven ? { mde: latency.mde } : {}),
      }),
    ),
  ];
}

/** The watched tail that must also be proved safe: the one nearest to p99. */
function nearest(tails: readonly Fraction[], wanted: Fraction): Fraction | undefined {
  return tails.toSorted((a, b) => Math.abs(Math.log(a / wanted)) - Math.abs(Math.log(b / wanted)))[0];
}

function againstThreshold(
  { errors, latency }: SequentialSettings,
  { minSuccess = 99, maxDuration }: JudgeBase,
): TestSettings[] {
  const compare = "threshold";
  const share = maxDuration === undefined ? 1 : errorsShare;
  const delta = 1 - minSuccess / 100;
  const first: TestSettings = {
    name: "errors",
    metric: errorsMetric,
    bad: { kind: "failed" },
    share,
    rho: 1,
    delta,
    mde: errors.mde,
    compare,
    warmup: 0,
  };
  if (maxDuration === undefined) return [first];
  return [
    first,
    { ...slowerThanMax(maxDuration, latency.warmup), share: 1 - share, rho: 1, mde: latency.mde, compare },
  ];
}

function slowerThanMax(than: Milliseconds, warmup: Milliseconds): TestSettings {
  return {
    name: `slower than ${than} ms`,
    metric: latencyMetric,
    bad: { kind: "slower", than },
    share: 1,
    rho: 1.1,
    delta: 0.01,
    compare: "primary",
    warmup,
  };
}

/** `spec.analysis.guard` where it is more than `on`. */
export interface GuardSettings {
  readonly errors: boolean;
  readonly latency: boolean;
  readonly alpha: Fraction;
  readonly warmup: Milliseconds;
}

const guardDefaults: GuardSettings = { errors: true, latency: true, alpha: 0.001, warmup: 60_000 };

/**
 * The harm test beside Flagger's rule, with the author's thresholds as tolerance: it ends only what is worse than the
 * primary and outside what the author allows. undefined where no metric with a threshold is left to watch.
 */
export function guardJudge(
  base: JudgeBase,
  settings: GuardSettings = guardDefaults,
): JudgeSettings | undefined {
  const { minSuccess, maxDuration } = base;
  const errors: TestSettings[] =
    settings.errors && minSuccess !== undefined
      ? [
          {
            name: "errors",
            metric: errorsMetric,
            bad: { kind: "failed" },
            share: errorsShare,
            rho: 1.1,
            delta: Math.max(0.0005, 1 - minSuccess / 100),
            compare: "primary",
            warmup: 0,
          },
        ]
      : [];
  const latency =
    settings.latency && maxDuration !== undefined
      ? [{ ...slowerThanMax(maxDuration, settings.warmup), share: 1 - errorsShare }]
      : [];
  const tests = [...errors, ...latency];
  if (tests.length === 0) return undefined;
  return {
    method: "guard",
    bounds: base.bounds,
    interval: base.interval,
    steps: base.steps,
    alpha: settings.alpha,
    beta: 1,
    freeRequests: 0,
    // One test alone has all of alpha.
    tests: tests.length === 1 ? tests.map((test) => ({ ...test, share: 1 })) : tests,
  };
}
