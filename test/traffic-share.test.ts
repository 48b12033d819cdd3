import { expect, test } from "vitest";
import type { Done } from "./soak/traffic/load.ts";
import { deviation } from "./soak/traffic/share.ts";

const requests = (share: number): Done[] =>
  Array.from({ length: 4000 }, (_, index) => ({
    kind: "h2",
    at: index,
    version: (index * share) % 1 < share && share > 0 ? "v2" : "v1",
  }));

test("a share at its weight is no deviation, one beside it is", () => {
  const asked = [{ at: -5000, weight: 25, taken: -5000 }];
  expect(deviation(requests(0.25), asked).worst).toBeLessThan(0.1);
  const { worst, chance } = deviation(requests(0.5), asked);
  expect(worst).toBeCloseTo(25, 0);
  expect(chance).toBeLessThan(5);
});

test("a weight that nobody knows to be taken may be in force or not", () => {
  const asked = [
    { at: -5000, weight: 25, taken: -5000 },
    { at: -4000, weight: 50 },
  ];
  expect(deviation(requests(0.25), asked).worst).toBe(0);
  expect(deviation(requests(0.5), asked).worst).toBe(0);
  expect(deviation(requests(1), asked).worst).toBeCloseTo(50, 0);
});
