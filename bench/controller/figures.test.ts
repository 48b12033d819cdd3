import { expect, test } from "vitest";
import { firstWeightMs, quantile, stepJitter } from "./figures.ts";

test("jitter is the distance from the beat, which the first weight sets", () => {
  const weights = [100, 10_100, 20_400, 29_900].map((at, index) => ({ at, weight: index * 10 }));
  expect(stepJitter({ readyAt: 0, weights }, 10_000)).toEqual([0, 300, 200]);
});

test("a canary without a weight has no first weight", () => {
  expect(firstWeightMs({ readyAt: 5, weights: [] })).toBeUndefined();
  expect(firstWeightMs({ readyAt: 5, weights: [{ at: 25, weight: 5 }] })).toBe(20);
});

test("a quantile is a value of the list", () => {
  expect(quantile([3, 1, 2], 0.5)).toBe(2);
  expect(quantile([3, 1, 2], 0.99)).toBe(3);
});
