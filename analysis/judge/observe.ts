import { comparable, difference } from "./difference.ts";
import { addDispersion, dispersion, firstHalfShare } from "./dispersion.ts";
import { harmBets, harmIncrement } from "./harm.ts";
import { logAddExp } from "./logspace.ts";
import { lateOnset } from "./onset.ts";
import { addRecent, noRecent, nothing } from "./recent.ts";
import { safeBets, safeIncrement } from "./safe.ts";
import { addAttempts, noAttempts, settling } from "./shortfall.ts";
import { isWorse, signBets, signIncrement } from "./sign.ts";
import { splitShare } from "./split.ts";
import { firstSlowBucket, slowerThan } from "./tail.ts";
import type {
  Bad,
  Counters,
  Counts,
  Judgement,
  JudgeSettings,
  JudgeState,
  TestPoll,
  TestSettings,
  TestState,
} from "./types.ts";
import { judgementOf } from "./verdict.ts";

/** Shorter polls are put off: the cap on one poll's evidence is meant for one second or more. */
export const shortestPoll = 900;

/**
 * One poll: what `counters` (cumulative) say at `now` (epoch milliseconds), on top of what `state` remembers.
 *
 * Before the first weight it only learns the primary's latencies and dispersion. Pure, and total: counters that are
 * no numbers, went back, or did not move change nothing.
 */
export function observe(
  state: JudgeState,
  counters: Counters,
  now: number,
  settings: JudgeSettings,
): { readonly state: JudgeState; readonly judgement: Judgement } {
  if (state.polledAt !== undefined && now - state.polledAt < shortestPoll) {
    return { state, judgement: judgementOf(state, state.polledAt, settings) };
  }
  const poll = pollOf(state.last, counters);
  const { startedAt } = state;
  const elapsed = startedAt !== undefined && now > startedAt ? now - startedAt : undefined;
  const before = state.polledAt === undefined ? 0 : state.polledAt - (startedAt ?? now);
  const [first, second] = poll.halves ?? [undefined, undefined];
  const halves = [
    state.halves[0] + (first?.requests ?? 0),
    state.halves[1] + (second?.requests ?? 0),
  ] as const;
  const testPolls = settings.tests.map((test) => testPoll(test, poll, state, settings, elapsed));
  const weighed: Weighed = {
    share: splitShare(state, poll.canary.requests, poll.primary.requests),
    halvesKnown: counters.halves !== undefined,
    firstHalf: firstHalfShare(halves),
    onset:
      elapsed === undefined
        ? undefined
        : lateOnset(before, elapsed, settings.interval * settings.steps.length),
    cap: Math.log(1 / settings.alpha) / 2,
  };
  const tests = settings.tests.map((test, index): TestState => {
    const remembered = state.tests[index];
    const seen = testPolls[index];
    if (remembered === undefined || seen === undefined) {
      throw new RangeError("judge state and settings have different tests");
    }
    return nextTest(
      remembered,
      seen,
      test,
      test.bad.kind === "counted" ? ownShare(state, seen, weighed) : weighed,
    );
  });
  const running = elapsed !== undefined;
  const all = poll.canary.requests + poll.primary.requests;
  const settled = settings.shield && now >= (state.enteredAt ?? now) + settling;
  const next: JudgeState = {
    ...state,
    ...(settled && {
      attempts: addAttempts(
        state.attempts ?? noAttempts,
        { canary: poll.canary.requests, primary: poll.primary.requests },
        state.weight,
      ),
    }),
    polledAt: now,
    last: comparable(state.last, counters),
    tests,
    pastBuckets: state.pastBuckets.map((count, bucket) => count + (poll.primary.buckets[bucket] ?? 0)),
    halves,
    seen: running
      ? {
          canary: state.seen.canary + poll.canary.requests,
          primary: state.seen.primary + poll.primary.requests,
        }
      : state.seen,
    recent: running
      ? addRecent(
          state.recent,
          {
            at: now,
            tests: testPolls,
            canary: poll.canary.requests,
            canaryFailed: poll.canary.failed,
            all,
          },
          settings.interval,
        )
      : noRecent,
  };
  const judgement = judgementOf(next, now, settings);
  return { state: { ...next, harm: judgement.harm }, judgement };
}

/** What came since the last poll. */
export function pollOf(last: Counters | undefined, now: Counters): Counters {
  return {
    canary: difference(last?.canary, now.canary),
    primary: difference(last?.primary, now.primary),
    halves: now.halves && [
      difference(last?.halves?.[0], now.halves[0]),
      difference(last?.halves?.[1], now.halves[1]),
    ],
    latencyKnown: now.latencyKnown,
    ...(now.series && { series: now.series }),
  };
}

/** What the poll shows of one test; `elapsed` is undefined before the run began. */
function testPoll(
  test: TestSettings,
  poll: Counters,
  state: JudgeState,
  settings: JudgeSettings,
  elapsed: number | undefined,
): TestPoll {
  const { bad } = test;
  if (bad.kind === "failed") return badIn(poll, test, ({ failed }) => failed);
  if (bad.kind === "counted" || bad.kind === "paired") return seriesPoll(test, bad, poll, elapsed);
  if (!poll.latencyKnown || (elapsed !== undefined && elapsed <= test.warmup)) return nothing;
  const slow = firstSlowBucket(bad, settings.bounds, state.pastBuckets);
  return badIn(poll, test, ({ buckets }) => slowerThan(buckets, slow));
}

/** What a metric provider told in this poll; nothing in most. */
function seriesPoll(
  { metric, warmup }: TestSettings,
  bad: Extract<Bad, { kind: "counted" | "paired" }>,
  { series = [] }: Counters,
  elapsed: number | undefined,
): TestPoll {
  const growth = series.find((one) => one.metric === metric);
  if (growth === undefined || elapsed === undefined || elapsed <= warmup) return nothing;
  if (bad.kind === "paired") {
    if (growth.kind !== "pair") return nothing;
    return { ...nothing, canary: 1, canaryBad: isWorse(growth.canary, growth.primary, bad) ? 1 : 0 };
  }
  if (growth.kind !== "counts") return nothing;
  const { canary, primary } = growth;
  return {
    ...nothing,
    canary: Math.max(canary.requests, canary.failed),
    canaryBad: canary.failed,
    primary: Math.max(primary.requests, primary.failed),
    primaryBad: primary.failed,
  };
}

function badIn(
  { canary, primary, halves }: Counters,
  test: TestSettings,
  bad: (counts: Counts) => number,
): TestPoll {
  const canaryBad = bad(canary);
  // Requests and latencies come by different messages: never fewer requests than slow ones.
  const seen = { canary: Math.max(canary.requests, canaryBad), canaryBad };
  if (test.compare === "threshold") return { ...nothing, ...seen };
  return {
    ...seen,
    primary: primary.requests,
    primaryBad: bad(primary),
    halvesBad: halves === undefined ? [0, 0] : [bad(halves[0]), bad(halves[1])],
  };
}

/** What all tests of one poll share. */
interface Weighed {
  /** The canary's share of the poll's requests. */
  readonly share: number;
  readonly halvesKnown: boolean;
  readonly firstHalf: number;
  /** ln of the prior that a fault began in this poll; undefined before the run. */
  readonly onset: number | undefined;
  /** Most evidence that one poll may give, nats. */
  readonly cap: number;
}

/**
 * A metric with counters of its own has its own share of them. Providers are asked each 15 s, so one poll may weigh
 * twice as much: else three of them were the soonest verdict.
 */
function ownShare(state: JudgeState, { canary, primary }: TestPoll, weighed: Weighed): Weighed {
  return { ...weighed, share: splitShare(state, canary, primary), halvesKnown: false, cap: 2 * weighed.cap };
}

/** One test's memory after this poll. */
function nextTest(before: TestState, poll: TestPoll, test: TestSettings, weighed: Weighed): TestState {
  const sums = addDispersion(before, poll, weighed.firstHalf);
  const { onset, cap } = weighed;
  if (onset === undefined) return { ...before, ...sums };
  if (test.bad.kind === "paired") return nextPaired(before, poll, onset);
  const alone = test.compare === "threshold";
  const phi = alone ? 1 : dispersion(before, weighed.halvesKnown);
  const seen = { ...poll, share: alone ? 0 : weighed.share };
  const increments = harmBets.map((bet) =>
    Math.min(harmIncrement(seen, test.rho, test.delta, bet) / phi, cap),
  );
  const safe = (bet: number): number =>
    test.mde === undefined ? 0 : safeIncrement(seen, test.rho, test.mde, bet) / phi;
  return {
    ...sums,
    early: before.early.map((value, bet) => value + (increments[bet] ?? 0)),
    late: before.late.map((value, bet) => logAddExp(value, onset) + (increments[bet] ?? 0)),
    safe: before.safe.map((value, bet) => value + safe(safeBets[bet] ?? 1)),
  };
}

/** The same for a metric without counts: only moments at which both arms had a value bring evidence. */
function nextPaired(before: TestState, poll: TestPoll, onset: number): TestState {
  const increments = signBets.map((bet) => (poll.canary === 0 ? 0 : signIncrement(poll.canaryBad > 0, bet)));
  return {
    ...before,
    early: before.early.map((value, bet) => value + (increments[bet] ?? 0)),
    late: before.late.map((value, bet) => logAddExp(value, onset) + (increments[bet] ?? 0)),
  };
}
