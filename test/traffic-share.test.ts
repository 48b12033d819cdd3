import { expect, test } from "vitest";
import { randomFrom } from "./soak/random.ts";
import type { Done } from "./soak/traffic/load.ts";
import { type Asked, sharesOf, worstShares } from "./soak/traffic/share.ts";

/** Weights 0 -> 100 -> 0 in steps of 1 every 200 ms, each taken after 10 ms. */
const walk: readonly Asked[] = Array.from({ length: 1000 }, (_, turn) => {
  const at = turn % 200;
  return { at: turn * 200, weight: at <= 100 ? at : 200 - at, taken: turn * 200 + 10 };
});

/** A request each millisecond, answered after 5 ms, at the weight of `delay` milliseconds ago and `bias` beside it. */
function requests(seed: number, delay: number, bias = 0): Done[] {
  const random = randomFrom(seed);
  return Array.from({ length: 200_000 }, (_, at) => {
    const weight = walk[Math.floor((at - delay - 10) / 200)]?.weight ?? 0;
    const version = random() * 100 < weight + bias ? "v2" : "v1";
    return { kind: "h2", at, end: at + 5, version };
  });
}

const wrong = (done: readonly Done[]) =>
  worstShares(sharesOf(done, walk)).filter(({ off, allowed }) => off > allowed);

test("a correct split is within what is allowed, also where a change takes 100 ms", () => {
  for (const seed of [1, 2]) expect(wrong(requests(seed, 0))).toEqual([]);
  expect(wrong(requests(4, 100))).toEqual([]);
});

test("a share two and a half points beside its weight is found, and one that is behind by a second", () => {
  expect(wrong(requests(5, 0, 2.5)).map(({ of }) => of)).toContain("all");
  expect(wrong(requests(6, 1000)).map(({ of }) => of)).toEqual(expect.arrayContaining(["rising", "falling"]));
});

test("a weight that nobody knows to be taken may be in force or not", () => {
  const asked = [
    { at: -5000, weight: 25, taken: -5000 },
    { at: -4000, weight: 50 },
  ];
  const done = (share: number): Done[] =>
    Array.from({ length: 4000 }, (_, at) => {
      const version = (at * share) % 1 < share && share > 0 ? "v2" : "v1";
      return { kind: "h2", at, end: at, version };
    });
  const off = (share: number) => sharesOf(done(share), asked)[0]?.off;
  expect(off(0.25)).toBe(0);
  expect(off(0.5)).toBe(0);
  expect(off(1)).toBeCloseTo(50, 0);
});
