import { expect, test } from "vitest";
import { bucketBounds } from "../../api/signals.ts";
import { observe } from "./observe.ts";
import { guardJudge, sequentialJudge } from "./settings.ts";
import { createState, setWeight } from "./state.ts";
import { restoreState, storeState } from "./stored.ts";
import type { Counters, JudgeSettings, JudgeState } from "./types.ts";

const base = { bounds: bucketBounds, interval: 60_000, steps: [5, 10, 50], minSuccess: 99, maxDuration: 500 };
const settings = sequentialJudge(base);
const epoch = Date.parse("2026-01-01T00:00:00Z");

/** Traffic of 1,000 requests a second with every latency in use: the largest state there is. */
function counters(seconds: number, canaryErrors: number): Counters {
  const counts = (requests: number, failed: number) => ({
    requests: requests * seconds,
    failed: Math.floor(failed * seconds),
    buckets: [...bucketBounds, 0].map((_, bucket) => seconds * (bucket * 7 + 3)),
  });
  return {
    canary: counts(50, canaryErrors),
    primary: counts(950, 1.7),
    halves: [counts(475, 1), counts(475, 0.7)],
    latencyKnown: true,
  };
}

function after(polls: number, canaryErrors: number, judge: JudgeSettings = settings): JudgeState {
  let state = setWeight(createState(judge), 5, epoch);
  for (let second = 1; second <= polls; second++) {
    ({ state } = observe(state, counters(second, canaryErrors), epoch + second * 1000, judge));
  }
  return state;
}

/** JSON and back, as through a Canary's status. */
const throughStatus = (state: JudgeState, judge = settings): JudgeState | undefined =>
  restoreState(JSON.parse(JSON.stringify(storeState(state, judge))), judge, epoch + 3_600_000);

test("the stored state is under a kilobyte", () => {
  expect(JSON.stringify(storeState(after(300, 0.2), settings)).length).toBeLessThan(1000);
});

test("a restored judge knows what it knew, to six digits", () => {
  const state = after(100, 0.3);
  const restored = throughStatus(state);
  expect(restored).toMatchObject({
    weight: 5,
    startedAt: epoch,
    enteredAt: epoch,
    polledAt: epoch + 100_000,
  });
  const next = (from: JudgeState | undefined, seconds: number) => {
    if (from === undefined) throw new Error("not restored");
    return observe(from, counters(seconds, 0.3), epoch + 101_000, settings).judgement;
  };
  expect(next(restored, 1).harm).toBeCloseTo(next(state, 101).harm, 4);
  expect(next(restored, 1).safe).toBeCloseTo(next(state, 101).safe, 3);
});

test("a gap is one longer poll: evidence of it counts once, under the cap of one poll", () => {
  const restored = throughStatus(after(30, 0));
  if (restored === undefined) throw new Error("not restored");
  const { judgement } = observe(restored, counters(20, 50), epoch + 50_000, settings);
  expect(judgement.verdict).not.toBe("rollback");
  expect(judgement.harm).toBeGreaterThan(restored.harm);
  expect(judgement.harm).toBeLessThanOrEqual(restored.harm + judgement.rollbackAt / 2);
});

test("what is of other tests, another version or damaged begins anew", () => {
  const stored = storeState(after(10, 0), settings);
  const guard = guardJudge(base);
  if (guard === undefined) throw new Error("no guard");
  expect(restoreState(stored, guard, epoch)).toBeUndefined();
  for (const damaged of [
    undefined,
    null,
    "",
    {},
    [],
    { ...stored, v: 2 },
    { ...stored, t: [] },
    { ...stored, t: [[1]] },
    { ...stored, b: "x" },
    { ...stored, w: null },
  ]) {
    expect(restoreState(damaged, settings, epoch)).toBeUndefined();
  }
});

test("a state from the future, after a clock was set back, is read as of now", () => {
  expect(restoreState(storeState(after(10, 0), settings), settings, epoch + 5000)).toMatchObject({
    polledAt: epoch + 5000,
  });
});
