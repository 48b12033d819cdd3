import { expect, test } from "vitest";
import type { RequestLine } from "../../cli/demo/record.ts";
import { harmOf, quantile, unexplained } from "./figures.ts";

const line = (start: number, status: number, version: string | null): RequestLine => ({
  start,
  end: start + 2,
  status,
  version,
});

test("a fault is counted from its first failed answer to the version's last answer", () => {
  const lines = [
    line(0, 200, "2"),
    line(100, 200, "1"),
    line(110, 500, "2"),
    line(300, 0, null),
    line(500, 500, "2"),
    line(510, 200, "1"),
  ];
  expect(harmOf(lines, "2", 105)).toEqual({ faultToZeroMs: 390, harmed: 3 });
  expect(unexplained(lines, "2", 105)).toBe(0);
});

test("a failure before the fault or after the rollback is nobody's but ours", () => {
  const lines = [line(0, 503, "1"), line(110, 500, "2"), line(500, 0, null)];
  expect(unexplained(lines, "2", 105)).toBe(2);
});

test("no failure is no fault", () => {
  expect(harmOf([line(0, 200, "2")], "2", 0)).toBeUndefined();
});

test("quantiles lie between the values", () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(quantile([7], 0.5)).toBe(7);
  expect(quantile([1, 2, 3], 1)).toBe(3);
});
