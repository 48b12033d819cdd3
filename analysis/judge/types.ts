/**
 * What goes into the judge and what comes out. Values only: no clock, no I/O.
 *
 * Times are epoch milliseconds, rates and shares fractions 0-1, weights percent, evidence natural logarithms of odds (nats).
 */
import type { Fraction, Milliseconds, Percent } from "../../lib/units.ts";
import type { Check } from "../checks/types.ts";
import type { Attempts } from "./shortfall.ts";

/** What one group of pods has answered. Cumulative: the judge takes differences, so a missed poll is one longer poll. */
export interface Counts {
  readonly requests: number;
  readonly failed: number;
  /** Requests per latency bucket, one more than there are bounds (the last is beyond all). */
  readonly buckets: readonly number[];
}

/** Both arms at one moment. */
export interface Counters {
  readonly canary: Counts;
  readonly primary: Counts;
  /**
   * The primary's pods in two halves: how much these differ by themselves is the dispersion. undefined where they
   * cannot be told apart (one pod): the dispersion is then taken as 1.5.
   */
  readonly halves: readonly [Counts, Counts] | undefined;
  /** False where latencies of this poll are incomplete: the latency tests then skip it. */
  readonly latencyKnown: boolean;
  /** What metric providers told since the poll before: not cumulative. Absent: nothing. */
  readonly series?: readonly SeriesGrowth[];
}

/** What one poll of a metric provider showed of both arms. */
export type SeriesGrowth =
  /** Requests and bad ones since the poll before. */
  | {
      readonly kind: "counts";
      readonly metric: string;
      readonly canary: Pick<Counts, "requests" | "failed">;
      readonly primary: Pick<Counts, "requests" | "failed">;
    }
  /** Two values of one moment. */
  | { readonly kind: "pair"; readonly metric: string; readonly canary: number; readonly primary: number };

/** Which requests a test calls bad. */
export type Bad =
  | { readonly kind: "failed" }
  /** Slower than the bucket bound that this share of the primary's past requests exceeds. */
  | { readonly kind: "tail"; readonly share: Fraction }
  | { readonly kind: "slower"; readonly than: Milliseconds }
  /** Those that a metric's own counters call bad. */
  | { readonly kind: "counted" }
  /** No requests but moments: those at which the canary's value is worse than the primary's by more than a share. */
  | { readonly kind: "paired"; readonly worse: "higher" | "lower"; readonly tolerance: Fraction };

/** One test: null hypothesis "the canary's bad rate is at most `rho` times the primary's plus `delta`". */
export interface TestSettings {
  /** As people know it: `errors`, `p99`, `slower than 500 ms`. */
  readonly name: string;
  /** The metric of the Canary it belongs to, e.g. `request-success-rate`. */
  readonly metric: string;
  readonly bad: Bad;
  /** Share of alpha; all shares of a judge add up to 1. */
  readonly share: Fraction;
  readonly rho: number;
  readonly delta: Fraction;
  /** `threshold`: the primary's share is taken as 0, so `delta` alone is tolerated. */
  readonly compare: "primary" | "threshold";
  /** Data before this much of the run is left out. */
  readonly warmup: Milliseconds;
  /** Must also be proved not worse by this much before promotion. */
  readonly mde?: Fraction;
}

export interface JudgeSettings {
  /** `sequential` gates steps by evidence; `guard` only ever rolls back. */
  readonly method: "sequential" | "guard";
  /** Upper bounds of the latency buckets, milliseconds. */
  readonly bounds: readonly number[];
  /** Least time of a step. */
  readonly interval: Milliseconds;
  /** Weights of the canary in order, the last before promotion. */
  readonly steps: readonly Percent[];
  /** Most chance to roll a healthy canary back. */
  readonly alpha: Fraction;
  /** Chance to promote one that is worse by mde. */
  readonly beta: Fraction;
  /** A step that puts fewer requests per interval at risk needs no proof. */
  readonly freeRequests: number;
  /** Errors allowed by `thresholdRange.min` of request-success-rate: more of them in an interval than chance explains holds the step. */
  readonly allowedErrors?: Fraction;
  readonly tests: readonly TestSettings[];
  /** Behind a shield whose weight tells the canary's share: attempts that stay far below it end the run. Absent: they do not. */
  readonly shield?: true;
}

/** Bad and all requests of both arms in one poll, for one test. */
export interface TestPoll {
  readonly canary: number;
  readonly canaryBad: number;
  readonly primary: number;
  readonly primaryBad: number;
  /** Bad requests in each half of the primary. */
  readonly halvesBad: readonly [number, number];
}

/** Everything one test remembers. `early`, `late` have an entry for each size of fault, `safe` for each bet on safety. */
export interface TestState {
  readonly early: readonly number[];
  readonly late: readonly number[];
  readonly safe: readonly number[];
  /** Sums of the dispersion: squared differences between the primary's halves, and bad requests. */
  readonly squares: number;
  readonly bad: number;
}

/** What some polls showed, for the threshold gate, the exposure of the next step, and people. */
export interface RecentSum {
  readonly tests: readonly TestPoll[];
  readonly canary: number;
  readonly canaryFailed: number;
  readonly all: number;
}

/** One poll of the last interval. */
export interface RecentPoll extends RecentSum {
  readonly at: number;
}

/** The last interval: its polls, oldest first, and their sum. */
export interface Recent extends RecentSum {
  readonly polls: readonly RecentPoll[];
}

export interface JudgeState {
  readonly weight: Percent;
  /** When the canary first took traffic; undefined before: what is seen until then is the past. */
  readonly startedAt?: number;
  /** When this weight was set. */
  readonly enteredAt?: number;
  /** Last poll. */
  readonly polledAt?: number;
  /** Counters of the last poll. */
  readonly last?: Counters;
  readonly tests: readonly TestState[];
  /** The primary's latencies so far, per bucket. */
  readonly pastBuckets: readonly number[];
  /** Requests of each half of the primary so far. */
  readonly halves: readonly [number, number];
  /** First attempts of late, behind a shield; absent where none were counted at this weight. */
  readonly attempts?: Attempts;
  /** Requests at this weight so far. */
  readonly seen: { readonly canary: number; readonly primary: number };
  readonly recent: Recent;
  readonly harm: number;
}

/** One test's numbers, for people. Rates are those of the last interval; undefined where there were no requests. */
export interface TestEvidence {
  readonly name: string;
  readonly metric: string;
  /** Nats for "worse than tolerated". */
  readonly harm: number;
  /** Nats for "not worse by mde"; absent where the test proves no safety. */
  readonly safe?: number;
  readonly canary?: Fraction;
  readonly primary?: Fraction;
  readonly canaryRequests: number;
  readonly dispersion: number;
  /** Rates are shares of moments, not of requests. */
  readonly paired?: true;
}

export interface Judgement {
  /** Epoch milliseconds of the poll. */
  readonly at: number;
  /** Evidence that the canary is worse than tolerated, nats. */
  readonly harm: number;
  /** `harm` at which it is rolled back; half of it is amber. */
  readonly rollbackAt: number;
  /** Evidence that it is not worse by mde, nats. */
  readonly safe: number;
  /** `safe` that the next step (or the promotion) needs. */
  readonly promoteAt: number;
  readonly verdict: "none" | "amber" | "rollback";
  /** The evidence allows the next weight now (the dwell time included). Always true for a guard that does not roll back. */
  readonly mayStep: boolean;
  /** The evidence allows promotion now; only at the last weight. Always true for a guard that does not roll back. */
  readonly mayPromote: boolean;
  /** The metric with the most evidence of harm. */
  readonly worst: string;
  /** One line for events and status. */
  readonly reason: string;
  readonly tests: readonly TestEvidence[];
}

/** What a Canary's analysis says about advancing. */
export interface AdvanceSettings {
  readonly rule: "flagger" | "sequential";
  /** Weights of the canary in order, the last before promotion. */
  readonly steps: readonly Percent[];
  /** Failed checks until rollback. */
  readonly threshold: number;
  readonly noData: "hold" | "fail";
  readonly providerErrors: "hold" | "fail";
  /** Longest hold before `onInconclusive` decides. */
  readonly deadline: Milliseconds;
  readonly onInconclusive: "hold" | "rollback" | "promote";
}

/** Where a run stands, from the Canary's status. */
export interface Progress {
  readonly weight: Percent;
  /** Cumulative over the run, as Flagger counts. */
  readonly failedChecks: number;
  /** Since when the run has been held with no verdict; undefined where the last tick moved it. */
  readonly heldSince?: number;
}

interface AdviceBase {
  readonly reason: string;
  readonly failedChecks: number;
  /** The checks behind it, as judged. */
  readonly checks: readonly Check[];
}

export type Advice =
  /** `heldSince` is for the next tick's {@link Progress}; `stalled` where the deadline has passed. */
  | (AdviceBase & {
      readonly kind: "hold";
      readonly heldSince: number | undefined;
      readonly stalled: boolean;
    })
  | (AdviceBase & { readonly kind: "step"; readonly weight: Percent })
  | (AdviceBase & { readonly kind: "promote" })
  | (AdviceBase & { readonly kind: "roll-back" });
