import fc from "fast-check";
import { expect, test } from "vitest";
import { type MeasuredPod, proposeReplicas } from "./replicas.ts";

const half = { kind: "utilization", share: 0.5 } as const;

function pods(...usages: (number | undefined)[]): MeasuredPod[] {
  return usages.map((usage) => ({ usage, request: 1, unready: false }));
}

const unready = (usage: number): MeasuredPod => ({ usage, request: 1, unready: true });
const proposed = (list: readonly MeasuredPod[], current = list.length) =>
  proposeReplicas(list, half, current)?.replicas;

test("replicas follow the share of the requests that is used", () => {
  expect(proposeReplicas(pods(1, 1), half, 2)).toEqual({ replicas: 4, utilization: 1, average: 1 });
  expect(proposed(pods(0.1, 0.1, 0.1, 0.1))).toBe(1);
  expect(proposed(pods())).toBeUndefined();
});

test("a change of a tenth or less moves nothing", () => {
  expect(proposed(pods(0.54, 0.54))).toBe(2);
  expect(proposed(pods(0.46, 0.46))).toBe(2);
});

test("pods without a figure dampen: idle on the way up, full on the way down", () => {
  expect(proposed(pods(1, undefined))).toBe(2);
  expect(proposed(pods(2, undefined))).toBe(4);
  expect(proposed(pods(0.1, undefined))).toBe(2);
});

test("what an unready pod uses does not count", () => {
  expect(proposed([...pods(0.5), unready(9)])).toBe(2);
  expect(proposed([...pods(2), unready(9)])).toBe(4);
  expect(proposed([unready(9)])).toBeUndefined();
});

test("more use never asks for fewer replicas", () => {
  const use = fc.double({ min: 0, max: 4, noNaN: true });
  fc.assert(
    fc.property(fc.array(use, { minLength: 1, maxLength: 8 }), use, (usages, more) => {
      const before = proposed(pods(...usages)) ?? 0;
      expect(proposed(pods(...usages.map((usage) => usage + more)))).toBeGreaterThanOrEqual(before);
    }),
  );
});

test("an average value needs no requests", () => {
  const target = { kind: "average-value", amount: 100 } as const;
  const measured = [300, 100].map((usage) => ({ usage, request: 0, unready: false }));
  expect(proposeReplicas(measured, target, 2)).toEqual({ replicas: 4, utilization: 0, average: 200 });
});
