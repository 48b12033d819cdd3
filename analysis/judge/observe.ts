import { comparable, difference } from "./difference.ts";
import { addDispersion, dispersion, firstHalfShare } from "./dispersion.ts";
import { harmBets, harmIncrement } from "./harm.ts";
import { logAddExp } from "./logspace.ts";
import { lateOnset } from "./onset.ts";
import { safeBets, safeIncrement } from "./safe.ts";
import { splitShare } from "./split.ts";
import { firstSlowBucket, slowerThan } from "./tail.ts";
import type {
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
  const running = startedAt !== undefined && now > startedAt;
  const elapsed = running ? now - startedAt : 0;
  const sinceLast = state.polledAt === undefined ? 0 : state.polledAt - (startedAt ?? now);
  const primary = poll.first.requests + poll.second.requests;
  const share = splitShare(state, poll.canary.requests, primary);
  const halves = [state.halves[0] + poll.first.requests, state.halves[1] + poll.second.requests] as const;
  const testPolls = settings.tests.map((test) =>
    testPoll(test, poll, state, settings, running ? elapsed : undefined),
  );
  const evidence = { share, counters, firstHalf: firstHalfShare(halves) };
  const planned = settings.interval * settings.steps.length;
  const onset = running ? lateOnset(sinceLast, elapsed, planned) : undefined;
  const tests = settings.tests.map((test, index): TestState => {
    const before = state.tests[index];
    const seen = testPolls[index];
    if (before === undefined || seen === undefined)
      throw new RangeError("judge state and settings have different tests");
    return nextTest(before, seen, test, evidence, onset, settings);
  });
  const next: JudgeState = {
    ...state,
    polledAt: now,
    last: comparable(state.last, counters),
    tests,
    pastBuckets: state.pastBuckets.map(
      (count, bucket) => count + (poll.first.buckets[bucket] ?? 0) + (poll.second.buckets[bucket] ?? 0),
    ),
    halves,
    seen: running
      ? { canary: state.seen.canary + poll.canary.requests, primary: state.seen.primary + primary }
      : state.seen,
    recent: running
      ? [
          ...state.recent.filter(({ at }) => at > now - settings.interval),
          {
            at: now,
            tests: testPolls,
            canary: poll.canary.requests,
            canaryFailed: poll.canary.failed,
            all: poll.canary.requests + primary,
          },
        ]
      : [],
  };
  const judgement = judgementOf(next, now, settings);
  return { state: { ...next, harm: judgement.harm }, judgement };
}

interface Poll {
  readonly canary: Counts;
  readonly first: Counts;
  readonly second: Counts;
  readonly latencyKnown: boolean;
}

function pollOf(last: Counters | undefined, now: Counters): Poll {
  return {
    canary: difference(last?.canary, now.canary),
    first: difference(last?.primary[0], now.primary[0]),
    second: difference(last?.primary[1], now.primary[1]),
    latencyKnown: now.latencyKnown,
  };
}

const nothing: TestPoll = { canary: 0, canaryBad: 0, primary: 0, primaryBad: [0, 0] };

/** What the poll shows of one test; `elapsed` is undefined before the run began. */
function testPoll(
  test: TestSettings,
  poll: Poll,
  state: JudgeState,
  settings: JudgeSettings,
  elapsed: number | undefined,
): TestPoll {
  const primary = poll.first.requests + poll.second.requests;
  const alone = test.compare === "threshold";
  if (test.bad.kind === "failed") {
    return {
      canary: poll.canary.requests,
      canaryBad: poll.canary.failed,
      primary: alone ? 0 : primary,
      primaryBad: alone ? [0, 0] : [poll.first.failed, poll.second.failed],
    };
  }
  if (!poll.latencyKnown || (elapsed !== undefined && elapsed <= test.warmup)) return nothing;
  const slow = firstSlowBucket(test.bad, settings.bounds, state.pastBuckets);
  const canarySlow = slowerThan(poll.canary.buckets, slow);
  return {
    // Requests and latencies come by different messages: never fewer requests than slow ones.
    canary: Math.max(poll.canary.requests, canarySlow),
    canaryBad: canarySlow,
    primary: alone ? 0 : primary,
    primaryBad: alone
      ? [0, 0]
      : [slowerThan(poll.first.buckets, slow), slowerThan(poll.second.buckets, slow)],
  };
}

/** One test's memory after this poll; `onset` is ln of the prior that a fault began in it, undefined before the run. */
function nextTest(
  before: TestState,
  poll: TestPoll,
  test: TestSettings,
  {
    share,
    counters,
    firstHalf,
  }: { readonly share: number; readonly counters: Counters; readonly firstHalf: number },
  onset: number | undefined,
  settings: JudgeSettings,
): TestState {
  const sums = addDispersion(before, poll, firstHalf);
  if (onset === undefined) return { ...before, ...sums };
  const phi = test.compare === "threshold" ? 1 : dispersion(before, counters.halvesKnown);
  const seen = {
    share: test.compare === "threshold" ? 0 : share,
    canary: poll.canary,
    canaryBad: poll.canaryBad,
    primaryBad: poll.primaryBad[0] + poll.primaryBad[1],
  };
  const cap = Math.log(1 / settings.alpha) / 2;
  const increments = harmBets.map((bet) =>
    Math.min(harmIncrement(seen, test.rho, test.delta, bet) / phi, cap),
  );
  const { mde } = test;
  return {
    ...sums,
    early: before.early.map((value, bet) => value + (increments[bet] ?? 0)),
    late: before.late.map((value, bet) => logAddExp(value, onset) + (increments[bet] ?? 0)),
    safe:
      mde === undefined
        ? before.safe
        : before.safe.map(
            (value, bet) => value + safeIncrement(seen, test.rho, mde, safeBets[bet] ?? 1) / phi,
          ),
  };
}
