import { expect, test } from "vitest";
import { binomialTail } from "./binomial.ts";
import { addDispersion, dispersion, firstHalfShare } from "./dispersion.ts";
import { type Evidence, harmBets, harmIncrement } from "./harm.ts";
import { safeBets, safeIncrement } from "./safe.ts";

const small: Evidence = { share: 0.05, canary: 50, canaryBad: 5, primaryBad: 1 };
const large: Evidence = { share: 0.5, canary: 500, canaryBad: 0, primaryBad: 4 };

test.for([
  ["five canary errors against one", small, [1.378569, 4.827259, 8.331706, 11.29586]],
  ["a healthy canary at half of the traffic", large, [-0.708553, -2.98299, -6.340352, -12.475567]],
] as const)("evidence of harm has the reference's values: %s", ([, evidence, expected]) => {
  const increments = harmBets.map((bet) => harmIncrement(evidence, 1.1, 0.0005, bet));
  increments.forEach((increment, bet) => {
    expect(increment).toBeCloseTo(expected[bet] ?? Number.NaN, 6);
  });
});

test("evidence of safety has the reference's values", () => {
  const increments = safeBets.map((bet) => safeIncrement({ ...small, canaryBad: 0 }, 1.1, 0.02, bet));
  expect(increments.map((increment) => Number(increment.toFixed(6)))).toEqual([0.950793, 0.686941, 0.317219]);
});

test("a poll without requests is no evidence of anything", () => {
  const nothing: Evidence = { share: 0.05, canary: 0, canaryBad: 0, primaryBad: 0 };
  for (const bet of harmBets) expect(Math.abs(harmIncrement(nothing, 1.1, 0.0005, bet))).toBe(0);
  for (const bet of safeBets) expect(Math.abs(safeIncrement(nothing, 1.1, 0.02, bet))).toBe(0);
});

test("a bet on harm wins at most nothing on average while the canary is within tolerance", () => {
  // E[e^increment] for Poisson counts: exp(mean_c (A - 1) + mean_p (B - 1) - delta n_c (A - 1)) <= 1.
  const one = (part: Partial<Evidence>, bet: number): number =>
    harmIncrement({ share: 0.1, canary: 0, canaryBad: 0, primaryBad: 0, ...part }, 1.1, 0.0005, bet);
  for (const bet of harmBets) {
    for (const primaryRate of [0, 0.001, 0.01, 0.2]) {
      const [canary, primary] = [100, 900];
      const exponent =
        canary * (1.1 * primaryRate + 0.0005) * Math.expm1(one({ canaryBad: 1 }, bet)) +
        primary * primaryRate * Math.expm1(one({ primaryBad: 1 }, bet)) +
        one({ canary }, bet);
      expect(exponent).toBeLessThanOrEqual(1e-9);
    }
  }
});

test.for([
  [3, 100, 0.01, 0.07937320225218046],
  [1, 1, 0.01, 0.01],
  [30, 1000, 0.02, 0.02069651867323949],
  [700, 60000, 0.01, 3.381749472476685e-5],
  [60, 50, 0.3, 0.0],
  [0, 10, 0.1, 1.0],
  [12345, 1000000, 0.012, 0.0008147058957607573],
] as const)("P(Bin(%i of %i, %f)) agrees with scipy", ([successes, trials, probability, expected]) => {
  expect(binomialTail(successes, trials, probability)).toBeCloseTo(expected, 9);
});

test("halves of unequal size are no dispersion: what counts is how they differ beyond their shares", () => {
  const poll = { canary: 0, canaryBad: 0, primary: 300, primaryBad: 30, halvesBad: [10, 20] } as const;
  let sums = { squares: 20, bad: 20 };
  for (let second = 0; second < 100; second++) {
    sums = addDispersion(sums, poll, firstHalfShare([100_000, 200_000]));
  }
  expect(dispersion(sums, true)).toBe(1);
  expect(firstHalfShare([45_000, 55_000])).toBe(0.5);
  expect(firstHalfShare([30, 0])).toBe(0.5);
});
