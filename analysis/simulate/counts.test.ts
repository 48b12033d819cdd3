import { expect, test } from "vitest";
import { logGamma } from "../judge/binomial.ts";
import { binomial, multinomial, negativeBinomial, poisson } from "./counts.ts";
import { createRandom, type Random } from "./random.ts";

const draws = 20_000;

/** How many standard deviations the chi-square of drawn counts lies above its mean; cells of under 5 are pooled. */
function misfit(sample: (random: Random) => number, probability: (count: number) => number): number {
  const random = createRandom(7, "counts");
  const seen = new Map<number, number>();
  for (let draw = 0; draw < draws; draw++) {
    const count = sample(random);
    seen.set(count, (seen.get(count) ?? 0) + 1);
  }
  let square = 0;
  let cells = 0;
  let pooled = 0;
  let pooledSeen = 0;
  for (let count = 0; count <= Math.max(...seen.keys()); count++) {
    pooled += probability(count) * draws;
    pooledSeen += seen.get(count) ?? 0;
    if (pooled < 5) continue;
    square += (pooledSeen - pooled) ** 2 / pooled;
    cells += 1;
    pooled = 0;
    pooledSeen = 0;
  }
  const freedom = Math.max(cells - 1, 1);
  return (square - freedom) / Math.sqrt(2 * freedom);
}

const choose = (n: number, k: number): number => logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1);

test.for([0.3, 4, 9.9, 10, 55, 1000])("a Poisson count of mean %d is distributed as it should be", (mean) => {
  const probability = (count: number) => Math.exp(count * Math.log(mean) - mean - logGamma(count + 1));
  expect(misfit((random) => poisson(random, mean), probability)).toBeLessThan(3.5);
});

test.for([
  [5, 0.2],
  [50, 0.001],
  [40, 0.25],
  [40, 0.3],
  [1000, 0.05],
  [1000, 0.93],
] as const)("a binomial count of %d trials at %d is distributed as it should be", ([trials, share]) => {
  const probability = (count: number) =>
    count > trials
      ? 0
      : Math.exp(choose(trials, count) + count * Math.log(share) + (trials - count) * Math.log1p(-share));
  expect(misfit((random) => binomial(random, trials, share), probability)).toBeLessThan(3.5);
});

test("a negative binomial count is distributed as it should be", () => {
  const probability = (count: number) =>
    Math.exp(choose(count + 1, count) + 2 * Math.log(0.3) + count * Math.log(0.7));
  expect(misfit((random) => negativeBinomial(random, 2, 0.3), probability)).toBeLessThan(3.5);
});

test("cells of a multinomial add up and have their shares", () => {
  const random = createRandom(3, "multinomial");
  const shares = [0.5, 0.3, 0.15, 0.05];
  const sums = [0, 0, 0, 0];
  for (let draw = 0; draw < 2000; draw++) {
    const cells = multinomial(random, 100, shares);
    expect(cells.reduce((sum, count) => sum + count, 0)).toBe(100);
    for (const [cell, count] of cells.entries()) sums[cell] = (sums[cell] ?? 0) + count;
  }
  for (const [cell, share] of shares.entries()) expect((sums[cell] ?? 0) / 200_000).toBeCloseTo(share, 2);
});

test("edges: no trials, no chance, certainty", () => {
  const random = createRandom(1);
  expect([
    binomial(random, 0, 0.5),
    binomial(random, 9, 0),
    binomial(random, 9, 1),
    poisson(random, 0),
  ]).toEqual([0, 0, 9, 0]);
});

test("the same seed and names give the same numbers, others do not", () => {
  const draw = (random: Random) => [
    random.uniform(),
    random.normal(),
    random.gamma(2, 1),
    random.exponential(3),
  ];
  expect(draw(createRandom(5, "a"))).toEqual(draw(createRandom(5, "a")));
  expect(draw(createRandom(5, "a"))).not.toEqual(draw(createRandom(5, "b")));
  expect(draw(createRandom(5, "a"))).not.toEqual(draw(createRandom(6, "a")));
});
