import { expect, test } from "vitest";
import { normalQuantile, normalShare } from "./normal.ts";

test.for([
  [0, 0.5],
  [1, 0.8413447460685429],
  [-1.6448536269514722, 0.05],
  [-5, 2.866515718791933e-7],
  [-8, 6.220960574271785e-16],
  [2.3263478740408408, 0.99],
] as const)("the share below %d is %d", ([x, share]) => {
  expect(Math.abs(normalShare(x) / share - 1)).toBeLessThan(1e-7);
  if (x > -6) expect(normalQuantile(share)).toBeCloseTo(x, 6);
});
