import fc from "fast-check";
import { expect, test } from "vitest";
import { bucketBounds } from "../../api/signals.ts";
import type { Provider } from "../providers/types.ts";
import { createRecent } from "../series/recent.ts";
import { measure } from "./measure.ts";
import type { Metric } from "./metric.ts";
import { histogramQuantile } from "./quantile.ts";
import { checkValue } from "./threshold.ts";

const now = 100_000;

/** A minute of canary traffic: `slow` of `requests` between 500 and 1,000 ms, the others between 50 and 100. */
function traffic({ requests = 1000, failed = 0, slow = 0 }) {
  const recent = createRecent(60_000, bucketBounds.length);
  const buckets = [...bucketBounds, 0].map((_, bucket) =>
    bucketBounds[bucket] === 100 ? requests - slow : bucketBounds[bucket] === 1000 ? slow : 0,
  );
  recent.add({ arm: "canary", side: "destination", half: 0, at: now - 5000, requests, failed, buckets });
  return recent;
}

const success: Metric = {
  kind: "signals",
  measure: "request-success-rate",
  name: "request-success-rate",
  range: { min: 99 },
  interval: 60_000,
};
const duration: Metric = {
  kind: "signals",
  measure: "request-duration",
  name: "request-duration",
  range: { max: 500 },
  interval: 60_000,
};
const signal = new AbortController().signal;

test.for([
  ["all succeed", {}, ["passed", 100], ["passed", 99]],
  ["two percent fail", { failed: 20 }, ["failed", 98], ["passed", 99]],
  ["exactly at the limit", { failed: 10 }, ["passed", 99], ["passed", 99]],
  ["two percent are slow", { slow: 20 }, ["passed", 100], ["failed", 750]],
] as const)("built-in checks measure a minute of signals: %s", async ([, seen, rate, p99]) => {
  const checks = await measure([success, duration], traffic(seen), now, signal);
  expect(checks.map(({ kind, value }) => [kind, value])).toEqual([rate, p99]);
});

test("no traffic and missing latencies are inconclusive, and the text is Flagger's", async () => {
  const none = await measure([success, duration], createRecent(60_000, bucketBounds.length), now, signal);
  expect(none.map(({ kind, cause }) => [kind, cause])).toEqual([
    ["inconclusive", "no-data"],
    ["inconclusive", "no-data"],
  ]);
  expect(none[0]?.reason).toMatch(/^no values found for metric request-success-rate/);
  const gapped = traffic({});
  gapped.gap(now - 3000, now - 2000);
  const checks = await measure([success, duration], gapped, now, signal);
  expect(checks.map(({ kind }) => kind)).toEqual(["passed", "inconclusive"]);
});

test("durations and their limits are compared in whole milliseconds", async () => {
  const [check] = await measure([{ ...duration, range: { max: 99.9 } }], traffic({}), now, signal);
  expect(check).toMatchObject({ kind: "passed", value: 99, threshold: "<= 99" });
});

test("the quantile is Prometheus'", () => {
  const bounds = [25, 50, 100, 250];
  expect(histogramQuantile(0.5, [10, 10, 0, 0, 0], bounds)).toBe(25);
  expect(histogramQuantile(0.75, [10, 10, 0, 0, 0], bounds)).toBe(37.5);
  expect(histogramQuantile(0.99, [0, 0, 100, 0, 0], bounds)).toBeCloseTo(99.5, 9);
  expect(histogramQuantile(0.99, [1, 0, 0, 0, 99], bounds)).toBe(250);
  expect(histogramQuantile(0.99, [0, 0, 0, 0, 0], bounds)).toBeNaN();
});

test("a provider's answer passes or fails only as one finite number; whatever else it does is inconclusive", async () => {
  const asked: string[] = [];
  const provider = (answer: Awaited<ReturnType<Provider["query"]>> | Error): Provider => ({
    name: "prometheus http://p",
    query: (query) => {
      asked.push(query);
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  });
  const metric = (answer: Parameters<typeof provider>[0]): Metric => ({
    kind: "query",
    name: "checkout-failures",
    range: { max: 1 },
    interval: 60_000,
    query: "up",
    provider: provider(answer),
    whole: false,
  });
  const checks = await measure(
    [
      metric({ kind: "value", value: 0.5 }),
      metric({ kind: "value", value: 2 }),
      metric({ kind: "no-data", reason: "the result is empty" }),
      metric({ kind: "error", reason: "HTTP 500" }),
      metric(new Error("broken")),
    ],
    traffic({}),
    now,
    signal,
  );
  expect(checks.map(({ kind, cause }) => cause ?? kind)).toEqual([
    "passed",
    "failed",
    "no-data",
    "provider-error",
    "provider-error",
  ]);
  expect(checks[3]).toMatchObject({
    reason: "prometheus http://p: HTTP 500",
    query: "up",
    threshold: "<= 1",
  });
  expect(asked).toHaveLength(5);
});

test("only a finite number within its range passes", () => {
  const limit = fc.option(fc.double({ noNaN: true }), { nil: undefined });
  fc.assert(
    fc.property(fc.double(), limit, limit, (value, min, max) => {
      const range = { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) };
      const inside = Number.isFinite(value) && value >= (min ?? value) && value <= (max ?? value);
      const { kind } = checkValue("m", value, range);
      expect(kind).toBe(inside ? "passed" : Number.isFinite(value) ? "failed" : "inconclusive");
    }),
  );
});
