import fc from "fast-check";
import { expect, test } from "vitest";
import { observe } from "./observe.ts";
import { guardJudge, sequentialJudge } from "./settings.ts";
import { createState, setWeight } from "./state.ts";
import type { Counters, Counts, Judgement, JudgeSettings, JudgeState } from "./types.ts";

const base = { bounds: [100, 500], interval: 60_000, steps: [5, 10, 50], minSuccess: 99, maxDuration: 500 };
const sequential = sequentialJudge(base);
const guard = guardJudge(base) ?? sequential;

const counts = (requests: number, failed = 0, slow = 0): Counts => ({
  requests,
  failed,
  buckets: [requests - slow, 0, slow],
});

/** What a second brings: requests and failures of the canary and of the whole primary. */
interface Second {
  readonly canary: readonly [requests: number, failed: number, slow?: number];
  readonly primary: readonly [requests: number, failed: number, slow?: number];
}

function run(
  settings: JudgeSettings,
  seconds: readonly Second[],
  state = setWeight(createState(settings), 5, 0),
) {
  let judgement: Judgement | undefined;
  let total: Counters = {
    canary: counts(0),
    primary: counts(0),
    halves: [counts(0), counts(0)],
    latencyKnown: true,
  };
  const add = (a: Counts, [requests, failed, slow = 0]: Second["canary"], part = 1): Counts => ({
    requests: a.requests + requests * part,
    failed: a.failed + failed * part,
    buckets: [(a.buckets[0] ?? 0) + (requests - slow) * part, 0, (a.buckets[2] ?? 0) + slow * part],
  });
  let polls = 0;
  for (const { canary, primary } of seconds) {
    const [first, second] = total.halves ?? [counts(0), counts(0)];
    total = {
      ...total,
      canary: add(total.canary, canary),
      primary: add(total.primary, primary),
      halves: [add(first, primary, 0.5), add(second, primary, 0.5)],
    };
    polls++;
    ({ state, judgement } = observe(state, total, polls * 1000, settings));
    if (judgement.verdict === "rollback") break;
  }
  if (judgement === undefined) throw new Error("no seconds");
  return { judgement, polls, state };
}

const times = (length: number, second: Second): Second[] => Array.from({ length }, () => second);

test("a total outage is a verdict after three seconds, and never after one", () => {
  const { judgement, polls } = run(sequential, times(10, { canary: [50, 50], primary: [950, 0] }));
  expect(judgement.verdict).toBe("rollback");
  expect(polls).toBe(3);
  expect(judgement.reason).toMatch(/^errors 100 % against 0 %: odds .*:1, rolling back$/);
  expect(judgement.worst).toBe("request-success-rate");
});

test("a healthy canary may step after its interval, and be promoted only at the last weight", () => {
  const { judgement, state } = run(sequential, times(65, { canary: [50, 0], primary: [950, 1] }));
  expect(judgement).toMatchObject({ verdict: "none", mayStep: true, mayPromote: false });
  const last = run(
    sequential,
    times(65, { canary: [500, 0], primary: [500, 1] }),
    setWeight({ ...state }, 50, 0),
  );
  expect(last.judgement.mayStep).toBe(false);
});

test("latencies twice as long are harm once the warmup is over", () => {
  const healthy = times(60, { canary: [50, 0, 0], primary: [950, 0, 9] });
  const { judgement, polls } = run(sequential, [
    ...healthy,
    ...times(60, { canary: [50, 0, 25], primary: [950, 0, 9] }),
  ]);
  expect(judgement.verdict).toBe("rollback");
  expect(polls).toBeGreaterThan(60);
  expect(judgement.worst).toBe("request-duration");
});

test("no traffic holds: it neither steps nor rolls back", () => {
  const { judgement } = run(sequential, times(300, { canary: [0, 0], primary: [100, 0] }));
  expect(judgement).toMatchObject({ verdict: "none", mayStep: false });
  expect(judgement.reason).toBe("no requests reached the canary in the last interval");
});

test("failures that both arms share are no evidence against the canary", () => {
  const { judgement } = run(sequential, times(120, { canary: [50, 20], primary: [950, 380] }));
  expect(judgement.verdict).toBe("none");
  expect(judgement.mayStep).toBe(false);
});

test("the guard never ends a canary that is inside its author's thresholds", () => {
  const inside = times(600, { canary: [100, 1, 1], primary: [900, 0, 0] });
  expect(run(guard, inside).judgement).toMatchObject({ verdict: "none", mayStep: true, mayPromote: true });
  expect(run(guard, times(600, { canary: [100, 10], primary: [900, 0] })).judgement.verdict).toBe("rollback");
});

test("counters that begin again are read from 0", () => {
  const before = { canary: counts(1000, 900), primary: counts(9000), halves: undefined, latencyKnown: true };
  const after = { canary: counts(50), primary: counts(950), halves: undefined, latencyKnown: true };
  const known = { ...setWeight(createState(sequential), 5, 0), last: before, polledAt: 1000 };
  const { judgement } = observe(known, after, 2000, sequential);
  expect(judgement.tests[0]).toMatchObject({ canaryRequests: 50, canary: 0 });
});

test("polls in quick succession count as one: the cap on a second's evidence cannot be got round", () => {
  let state = setWeight(createState(sequential), 5, 0);
  for (let poll = 1; poll <= 10; poll++) {
    const counters: Counters = {
      canary: counts(poll * 50, poll * 50),
      primary: counts(poll * 950),
      halves: undefined,
      latencyKnown: true,
    };
    let judgement: Judgement;
    ({ state, judgement } = observe(state, counters, 1000 + poll * 80, sequential));
    expect(judgement.verdict).not.toBe("rollback");
  }
});

const odd = fc.oneof(
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 0, 1e18),
  fc.nat(1e6),
);
const oddCounts = fc.record({
  requests: odd,
  failed: odd,
  buckets: fc.array(odd, { minLength: 3, maxLength: 3 }),
});
const oddCounters: fc.Arbitrary<Counters> = fc.record({
  canary: oddCounts,
  primary: oddCounts,
  halves: fc.option(fc.tuple(oddCounts, oddCounts), { nil: undefined }),
  latencyKnown: fc.boolean(),
});

test("counters that are no numbers never throw, never poison the memory, and alone never move a run", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(oddCounters, fc.integer({ min: -2000, max: 5000 })), { maxLength: 30 }),
      (polls) => {
        let state: JudgeState = setWeight(createState(sequential), 5, 0);
        let now = 0;
        for (const [counters, step] of polls) {
          now += step;
          const { state: next, judgement } = observe(state, counters, now, sequential);
          state = next;
          expect(Number.isNaN(judgement.harm)).toBe(false);
          expect(Number.isNaN(judgement.safe)).toBe(false);
        }
      },
    ),
    { numRuns: 200 },
  );
  const broken: Counters = {
    canary: counts(Number.NaN, Number.POSITIVE_INFINITY),
    primary: counts(Number.NaN),
    halves: undefined,
    latencyKnown: true,
  };
  let state = setWeight(createState(sequential), 5, 0);
  for (let second = 1; second <= 200; second++) {
    const seen = observe(state, broken, second * 1000, sequential);
    state = seen.state;
    expect(seen.judgement).toMatchObject({ verdict: "none", mayStep: false, mayPromote: false });
  }
});

test("the same counters again, and time that goes back, change nothing", () => {
  const counters: Counters = {
    canary: counts(50, 3),
    primary: counts(950, 1),
    halves: undefined,
    latencyKnown: true,
  };
  const { state } = observe(setWeight(createState(sequential), 5, 0), counters, 1000, sequential);
  const again = observe(state, counters, 2000, sequential);
  expect(again.state.tests.map(({ early }) => early)).toEqual(state.tests.map(({ early }) => early));
  expect(observe(state, counters, 500, sequential).state).toBe(state);
});
