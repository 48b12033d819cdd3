/** What the judge promises whatever the traffic: properties, over generated seconds. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { binomial, poisson } from "../simulate/counts.ts";
import { createRandom } from "../simulate/random.ts";
import { observe } from "./observe.ts";
import { guardJudge, sequentialDefaults, sequentialJudge } from "./settings.ts";
import { createState, setWeight } from "./state.ts";
import type { Counters, Counts, Judgement, JudgeSettings } from "./types.ts";

const base = { bounds: [100, 500], interval: 60_000, steps: [5, 10, 50], minSuccess: 99, maxDuration: 500 };
const sequential = sequentialJudge(base);
const guard = guardJudge(base) ?? sequential;
const threshold = sequentialJudge(base, { ...sequentialDefaults, compare: "threshold" });
const both = sequentialJudge(base, { ...sequentialDefaults, compare: "both" });

interface Arm {
  readonly requests: number;
  readonly failed: number;
  readonly slow: number;
}

/** Judges seconds from the run's begin on, and gives each judgement. `warm`: latencies count from the first. */
function judgeSeconds(
  settings: JudgeSettings,
  seconds: readonly { readonly canary: Arm; readonly primary: Arm }[],
  weight = 5,
): Judgement[] {
  let state = setWeight(createState(settings), weight, 0);
  const zero: Counts = { requests: 0, failed: 0, buckets: [0, 0, 0] };
  let total: Counters = { canary: zero, primary: zero, halves: [zero, zero], latencyKnown: true };
  return seconds.map(({ canary, primary }, second) => {
    const first = { ...primary, ...half(primary) };
    total = {
      canary: add(total.canary, canary),
      primary: add(total.primary, primary),
      halves: [add(total.halves?.[0] ?? zero, first), add(total.halves?.[1] ?? zero, rest(primary, first))],
      latencyKnown: true,
    };
    const seen = observe(state, total, (second + 1) * 1000, settings);
    state = seen.state;
    return seen.judgement;
  });
}

const half = ({ requests, failed, slow }: Arm): Arm => ({
  requests: Math.floor(requests / 2),
  failed: Math.floor(failed / 2),
  slow: Math.floor(slow / 2),
});
const rest = (all: Arm, first: Arm): Arm => ({
  requests: all.requests - first.requests,
  failed: all.failed - first.failed,
  slow: all.slow - first.slow,
});
const add = (sum: Counts, { requests, failed, slow }: Arm): Counts => ({
  requests: sum.requests + requests,
  failed: sum.failed + failed,
  buckets: [(sum.buckets[0] ?? 0) + requests - slow, sum.buckets[1] ?? 0, (sum.buckets[2] ?? 0) + slow],
});

/** An arm with any traffic; its bad requests as shares of all. */
const anyArm = fc
  .record({
    requests: fc.nat(5000),
    failed: fc.double({ min: 0, max: 1, noNaN: true }),
    slow: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(
    ({ requests, failed, slow }): Arm => ({
      requests,
      failed: Math.floor(requests * failed),
      slow: Math.floor(requests * slow),
    }),
  );
const good = fc.nat(5000).map((requests): Arm => ({ requests, failed: 0, slow: 0 }));

/** Every judge, with latencies that count from the first second. */
const judges = Object.entries({ sequential, guard, threshold, both }).map(
  ([name, settings]) =>
    [name, { ...settings, tests: settings.tests.map((one) => ({ ...one, warmup: 0 })) }] as const,
);

test.for(judges)("one bad second alone never decides, whatever it holds: %s", ([, settings]) => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ canary: good, primary: anyArm }), { minLength: 1, maxLength: 90 }),
      fc.nat(),
      anyArm,
      fc.constantFrom(0, 0.3, 1),
      fc.constantFrom(1, 5, 50, 99),
      (seconds, at, bad, spill, weight) => {
        // A second of the clock may lie in two polls.
        const place = at % seconds.length;
        const part = (share: number): Arm => ({
          requests: Math.ceil(bad.requests * share),
          failed: Math.floor(bad.failed * share),
          slow: Math.floor(bad.slow * share),
        });
        const broken = seconds.map((second, index) => {
          if (index === place) return { ...second, canary: part(1 - spill / 2) };
          return index === place + 1 && spill > 0 ? { ...second, canary: part(spill / 2) } : second;
        });
        for (const { verdict } of judgeSeconds(settings, broken, weight))
          expect(verdict).not.toBe("rollback");
      },
    ),
    { numRuns: 150 },
  );
});

test("a canary that is inside its author's thresholds each second is never ended by the guard", () => {
  const inside = fc
    .record({
      requests: fc.nat(5000),
      failed: fc.double({ min: 0, max: 1, noNaN: true }),
      slow: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    .map(
      ({ requests, failed, slow }): Arm => ({
        requests,
        // At most 1 % of each, as min 99 and a P99 of at most max allow.
        failed: Math.floor((requests * failed) / 100),
        slow: Math.floor((requests * slow) / 100),
      }),
    );
  const [, settings] = judges[1] ?? ["", guard];
  fc.assert(
    fc.property(
      fc.array(fc.record({ canary: inside, primary: anyArm }), { minLength: 1, maxLength: 120 }),
      fc.constantFrom(1, 5, 50, 99),
      (seconds, weight) => {
        for (const { harm } of judgeSeconds(settings, seconds, weight))
          expect(harm).toBeLessThanOrEqual(1e-9);
      },
    ),
    { numRuns: 200 },
  );
});

test("nor one whose requests fail by chance at the very limit, beside a primary without a fault", () => {
  const random = createRandom(5, "limit");
  let ended = 0;
  for (let run = 0; run < 150; run++) {
    const seconds = Array.from({ length: 300 }, () => {
      const requests = poisson(random, 50);
      return {
        canary: {
          requests,
          failed: binomial(random, requests, 0.01),
          slow: binomial(random, requests, 0.01),
        },
        primary: { requests: poisson(random, 950), failed: 0, slow: 0 },
      };
    });
    if (judgeSeconds(guard, seconds).some(({ verdict }) => verdict === "rollback")) ended++;
  }
  expect(ended).toBe(0);
});

test("no judge steps or promotes on nothing: without a canary's request there is no leave", () => {
  fc.assert(
    fc.property(fc.array(anyArm, { minLength: 60, maxLength: 90 }), (primary) => {
      const none: Arm = { requests: 0, failed: 0, slow: 0 };
      const seconds = primary.map((arm) => ({ canary: none, primary: arm }));
      for (const settings of [sequential, threshold, both]) {
        for (const { mayStep, mayPromote } of judgeSeconds(settings, seconds))
          expect([mayStep, mayPromote]).toEqual([false, false]);
      }
    }),
    { numRuns: 30 },
  );
});

test("against the threshold alone the primary does not matter", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyArm, anyArm, anyArm), { minLength: 1, maxLength: 40 }), (seconds) => {
      const harms = (primary: 1 | 2) =>
        judgeSeconds(
          threshold,
          seconds.map((arms) => ({ canary: arms[0], primary: arms[primary] })),
        ).map(({ harm }) => harm);
      expect(harms(1)).toEqual(harms(2));
    }),
    { numRuns: 50 },
  );
});

test("compare: both finds what both arms share only by the threshold, and has half of alpha for each", () => {
  const shared = Array.from({ length: 60 }, () => ({
    canary: { requests: 50, failed: 10, slow: 0 },
    primary: { requests: 950, failed: 190, slow: 0 },
  }));
  expect(judgeSeconds(sequential, shared).at(-1)?.verdict).toBe("none");
  const last = judgeSeconds(both, shared).find(({ verdict }) => verdict === "rollback");
  expect(last).toBeDefined();
  expect(both.tests.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
  const parts = (compare: string) =>
    both.tests.filter((one) => one.compare === compare).reduce((sum, { share }) => sum + share, 0);
  expect(parts("primary")).toBeCloseTo(0.5, 12);
  expect(parts("threshold")).toBeCloseTo(0.5, 12);
});
