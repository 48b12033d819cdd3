import fc from "fast-check";
import { expect, test } from "vitest";
import type { Attempt } from "../../api/signals.ts";
import { createTripWire } from "./trip-wire.ts";

const source = { replica: "r", proxy: "p", start: 0 };
function attempt(
  at: number,
  failed: boolean,
  arm: Attempt["arm"] = "canary",
  connection = `c${at % 4}`,
): Attempt {
  return { kind: "attempt", source, arm, at, failed, status: failed ? 503 : 200, flags: [], connection };
}

/** When it fires, epoch milliseconds; undefined if it does not. */
function firesAt(attempts: readonly Attempt[], since = 0): number | undefined {
  const wire = createTripWire();
  return attempts.find((one) => wire.take(one, since) !== undefined)?.at;
}

const every = (step: number, count: number, from = 1000): number[] =>
  Array.from({ length: count }, (_, n) => from + n * step);
const outage = every(20, 60).map((at) => attempt(at, true));

test("a total outage at 50 requests a second fires after half a second", () => {
  expect(firesAt(outage)).toBe(1500);
});

test("fewer than ten attempts never fire, however long they take", () => {
  expect(firesAt(every(700, 9).map((at) => attempt(at, true)))).toBeUndefined();
  expect(firesAt(every(701, 10).map((at) => attempt(at, true)))).toBe(1000 + 9 * 701);
});

test("one success begins the window anew", () => {
  const broken = [
    ...outage.slice(0, 20),
    attempt(1390, false),
    ...every(20, 20, 1400).map((at) => attempt(at, true)),
  ];
  expect(firesAt(broken)).toBeUndefined();
});

test("what was sent before the run's weight was acknowledged does not count", () => {
  expect(firesAt(outage, 1600)).toBe(2100);
});

test("one broken client connection is not taken for an outage, but one client alone is", () => {
  const lone = every(20, 60).map((at) => attempt(at, true, "canary", "only"));
  expect(firesAt(lone)).toBe(1500);
  const beside = lone.flatMap((one) => [one, attempt(one.at, false, "primary", "other")]);
  expect(firesAt(beside)).toBeUndefined();
});

test("a failure that the primary shares does not fire; it does once the primary has recovered", () => {
  const shared = every(20, 50).flatMap((at) => [attempt(at, true, "primary"), attempt(at, true)]);
  expect(firesAt(shared)).toBeUndefined();
  const recovered = every(20, 50, 2000).flatMap((at) => [attempt(at, false, "primary"), attempt(at, true)]);
  expect(firesAt([...shared, ...recovered])).toBeLessThanOrEqual(2500);
  const healthy = every(20, 60).flatMap((at) => [attempt(at, at % 100 === 0, "primary"), attempt(at, true)]);
  expect(firesAt(healthy)).toBeDefined();
});

test("it says what it saw", () => {
  const wire = createTripWire();
  const outages = outage.map((one) => wire.take(one, 0));
  expect(outages.find((found) => found !== undefined)?.reason).toBe(
    "all 26 attempts at the canary in the last 0.5 s failed (primary: 0 of 0)",
  );
});

test("it never fires while any attempt of each ten succeeds, nor on times that are none, in any order", () => {
  const mixed = fc.array(
    fc.record({ at: fc.oneof(fc.nat(20_000), fc.constant(Number.NaN)), primary: fc.boolean() }),
    { maxLength: 200 },
  );
  fc.assert(
    fc.property(mixed, (list) => {
      const attempts = list.map(({ at, primary }, index) =>
        attempt(at, index % 9 !== 0, primary ? "primary" : "canary"),
      );
      const canary = attempts.filter(({ arm, at }) => arm === "canary" && !Number.isNaN(at));
      const fired = firesAt(attempts);
      if (fired !== undefined)
        expect(canary.filter(({ failed }) => failed).length).toBeGreaterThanOrEqual(10);
      expect(firesAt(canary.map((one) => ({ ...one, failed: false })))).toBeUndefined();
    }),
  );
});

test("a sampled success of the primary stands for as many as it says", () => {
  const both = every(60, 12).flatMap((at, n) => [
    { times: 1, ...attempt(at, false, "primary") },
    ...(n % 2 === 0 ? [attempt(at, true, "primary")] : []),
    attempt(at, true),
  ]);
  // A third of the primary's attempts fail: a failure of both.
  expect(firesAt(both)).toBeUndefined();
  // The same failures among about ten times as many attempts: the canary's own.
  expect(firesAt(both.map((one) => ("times" in one ? { ...one, times: 10 } : one)))).toBeDefined();
});
