import { expect, test } from "vitest";
import { weightIn } from "./soak/traffic/held.ts";
import type { Done } from "./soak/traffic/load.ts";
import { type Asked, sharesOf, worstShares, worstTable } from "./soak/traffic/share.ts";
import { randomFrom } from "./support/random.ts";

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

test("of all that is off only after restarts, less than three points are found there", () => {
  const restarts = Array.from({ length: 8 }, (_, index) => 10_000 + 20_000 * index);
  const random = randomFrom(7);
  const done = requests(8, 0).map((one): Done => {
    const isAfter = restarts.some((back) => one.at >= back && one.at < back + 5000);
    return isAfter && random() < 0.055 ? { ...one, version: "v2" } : one;
  });
  const found = sharesOf(done, walk, restarts).filter(({ off, allowed }) => off > allowed);
  expect(found.map(({ of }) => of)).toEqual(["after restarts"]);
});

test("a table that is late, or is once an earlier one for two seconds, is told exactly", () => {
  const looks = (weightAt: (at: number) => number) =>
    Array.from({ length: 1000 }, (_, index) => ({
      at: 200 * index,
      end: 200 * index + 5,
      weight: weightAt(200 * index),
    }));
  const right = (at: number) => walk[Math.floor(Math.max(0, at - 10) / 200)]?.weight ?? 0;
  expect(worstTable(looks(right), walk).off).toBeCloseTo(0);
  expect(
    worstTable(
      looks((at) => right(at - 1000)),
      walk,
    ).off,
  ).toBeGreaterThan(3);
  const back = worstTable(
    looks((at) => (at >= 30_000 && at < 32_000 ? right(20_000) : right(at))),
    walk,
  );
  expect(back.off).toBeGreaterThan(10);
  expect(back.second).toBeGreaterThanOrEqual(26);
  expect(back.second).toBeLessThanOrEqual(31);
});

test("the weight of a host stands in Envoy's own words for its table", () => {
  const route = {
    weighted_clusters: {
      clusters: [
        { name: "one", weight: 750_000 },
        { name: "two", weight: 250_000 },
      ],
    },
  };
  const dump = {
    configs: [
      {
        route_config: {
          virtual_hosts: [{ domains: ["other"] }, { domains: ["shop"], routes: [{}, { route }] }],
        },
      },
    ],
  };
  expect(weightIn(dump, "shop", "two")).toBe(25);
  expect(weightIn(dump, "shop", "three")).toBe(0);
  expect(weightIn(dump, "other", "two")).toBeUndefined();
});
