import { expect, test } from "vitest";
import type { PairReading } from "../checks/measure-pair.ts";
import type { PairedMetric } from "../checks/pair.ts";
import { observe } from "../judge/observe.ts";
import { sequentialDefaults, sequentialJudge } from "../judge/settings.ts";
import { createState, setWeight } from "../judge/state.ts";
import type { Counters, Counts, SeriesGrowth } from "../judge/types.ts";
import { createPairs } from "./pairs.ts";

const query = {
  kind: "query",
  name: "queue",
  range: { max: 10 },
  interval: 60_000,
  query: "q",
  provider: { name: "test", query: () => Promise.resolve({ kind: "no-data", reason: "" } as const) },
  whole: false,
} as const;
const values: PairedMetric = {
  ...{ kind: "values", name: "queue", canary: query, primary: query, worse: "higher", relative: 10 },
  test: { kind: "sign", metric: "queue", worse: "higher", tolerance: 0.1 },
};
const { test: _, ...byMannWhitney } = values;
const counted: PairedMetric = {
  ...{ kind: "counts", name: "failures" },
  canary: { total: query, bad: query },
  primary: { total: query, bad: query },
  test: { kind: "counts", metric: "failures", rho: 1.1, delta: 0.0005, mde: 0.02 },
};
const counts = (canary: readonly [number, number], primary: readonly [number, number]): PairReading => ({
  kind: "counts",
  canary: { requests: canary[0], failed: canary[1] },
  primary: { requests: primary[0], failed: primary[1] },
});

test("counters bring what they grew by; their past, and what a lost pod takes away, bring nothing", () => {
  const pairs = createPairs();
  pairs.take(counted, counts([1000, 10], [9000, 90]));
  expect(pairs.drain()).toEqual([]);
  pairs.take(counted, counts([1050, 12], [9900, 91]));
  expect(pairs.drain()).toMatchObject([
    { metric: "failures", canary: { requests: 50, failed: 2 }, primary: { requests: 900, failed: 1 } },
  ]);
  pairs.take(counted, counts([600, 5], [9900, 91]));
  pairs.take(counted, counts([650, 5], [10_800, 92]));
  expect(pairs.drain()).toMatchObject([{ canary: { requests: 50, failed: 0 } }]);
  expect(pairs.drain()).toEqual([]);
});

test("one scrape counts once, however often it is asked for", () => {
  const pairs = createPairs();
  const reading: PairReading = { kind: "values", canary: 5, primary: 4 };
  pairs.take(values, reading);
  pairs.take(values, reading);
  expect(pairs.drain()).toHaveLength(1);
});

const settings = sequentialJudge(
  { bounds: [100], interval: 60_000, steps: [10, 50] },
  {
    ...sequentialDefaults,
    series: [
      { kind: "counts", metric: "failures", rho: 1.1, delta: 0.0005, mde: 0.02 },
      { kind: "sign", metric: "queue", worse: "higher", tolerance: 0.1 },
    ],
  },
);

/** Judges a poll each 15 s with healthy traffic of the proxies and what `series` says; how many until a roll-back. */
function pollsUntilRollback(series: (poll: number) => readonly SeriesGrowth[], most = 200) {
  let state = setWeight(createState(settings), 10, 0);
  const arm = (requests: number): Counts => ({ requests, failed: 0, buckets: [requests, 0] });
  for (let poll = 1; poll <= most; poll++) {
    const counters: Counters = {
      canary: arm(poll * 100),
      primary: arm(poll * 900),
      halves: [arm(poll * 450), arm(poll * 450)],
      latencyKnown: true,
      series: series(poll),
    };
    const seen = observe(state, counters, poll * 15_000, settings);
    state = seen.state;
    if (seen.judgement.verdict === "rollback") return { polls: poll, judgement: seen.judgement };
  }
  return { polls: Number.POSITIVE_INFINITY, judgement: undefined };
}

test("a queue that is always longer than the primary's is harm after some ten moments, never after one", () => {
  const { polls, judgement } = pollsUntilRollback(() => [
    { kind: "pair", metric: "queue", canary: 12, primary: 10 },
  ]);
  expect(polls).toBeGreaterThanOrEqual(9);
  expect(polls).toBeLessThanOrEqual(20);
  expect(judgement?.reason).toMatch(/^queue higher than the primary's in 100 % of moments: odds/);
  expect(judgement?.worst).toBe("queue");
});

test.for([
  ["as long as the primary's", () => 10],
  ["longer within the tolerance", () => 11],
  ["longer every other time", (poll: number) => (poll % 2 === 0 ? 20 : 5)],
] as const)("a queue that is %s is none", ([, canary]) => {
  const { polls } = pollsUntilRollback((poll) => [
    { kind: "pair", metric: "queue", canary: canary(poll), primary: 10 },
  ]);
  expect(polls).toBe(Number.POSITIVE_INFINITY);
});

test("counted failures are judged as errors are: soon where many, not at all where the primary has them too", () => {
  const growth = (bad: number, primaryBad: number) => (): readonly SeriesGrowth[] => [
    {
      ...{ kind: "counts", metric: "failures" },
      canary: { requests: 100, failed: bad },
      primary: { requests: 900, failed: primaryBad },
    } as const,
  ];
  expect(pollsUntilRollback(growth(50, 1)).polls).toBeLessThanOrEqual(3);
  expect(pollsUntilRollback(growth(50, 1)).polls).toBeGreaterThan(1);
  expect(pollsUntilRollback(growth(5, 45)).polls).toBe(Number.POSITIVE_INFINITY);
});

test("a run is not promoted before a counted metric is shown to be safe", () => {
  let state = setWeight(createState(settings), 50, 0);
  const arm = (requests: number): Counts => ({ requests, failed: 0, buckets: [requests, 0] });
  const judge = (poll: number, series: readonly SeriesGrowth[]) => {
    const halves = [arm(poll * 250), arm(poll * 250)] as const;
    const counters = {
      canary: arm(poll * 500),
      primary: arm(poll * 500),
      halves,
      latencyKnown: true,
      series,
    };
    const seen = observe(state, counters, poll * 15_000, settings);
    state = seen.state;
    return seen.judgement;
  };
  for (let poll = 1; poll <= 20; poll++) expect(judge(poll, []).mayPromote).toBe(false);
  const safe = { requests: 500, failed: 0 };
  const growth = { kind: "counts", metric: "failures", canary: safe, primary: safe } as const;
  expect(judge(21, [growth]).mayPromote || judge(22, [growth]).mayPromote).toBe(true);
});

test("Mann-Whitney says nothing on few moments, then fails what is higher and passes what is not", () => {
  const moments = (shift: number, count: number) => {
    const pairs = createPairs();
    for (let moment = 0; moment < count; moment++) {
      const wave = 10 + Math.sin(moment * 1.7);
      pairs.take(byMannWhitney, {
        kind: "values",
        canary: wave + shift,
        primary: 10 + Math.sin(moment * 2.3),
      });
    }
    return pairs.checks([byMannWhitney])[0];
  };
  expect(moments(5, 4)).toMatchObject({ kind: "inconclusive", cause: "no-data" });
  expect(moments(5, 20)).toMatchObject({ kind: "failed", name: "queue against the primary" });
  expect(moments(0, 20)).toMatchObject({ kind: "passed", samples: 20 });
});
