import type { JudgeState, TestPoll, TestState } from "./types.ts";

/** Weight of the prior: 20 bad requests that came one by one. */
export const dispersionPrior = 20;

/** For a primary whose pods cannot be told apart. */
const unknownDispersion = 1.5;

/** Prior requests of each half: with fewer, chance alone would make halves look unequal. */
const halfPrior = 1000;

/**
 * How many requests one incident takes on average, at least 1: the evidence is divided by it.
 *
 * Measured on the primary against itself; 1 for independent failures, the cluster's size for retries or reset connections.
 */
export function dispersion(
  { squares, bad }: Pick<TestState, "squares" | "bad">,
  halvesKnown: boolean,
): number {
  return halvesKnown ? Math.max(1, squares / bad) : unknownDispersion;
}

/**
 * The first half's share of the primary's traffic over the whole run. Within 45-55 % it counts as one half: the
 * reference implementation has equal halves, and pods in equal numbers differ by chance only.
 */
export function firstHalfShare([first, second]: JudgeState["halves"]): number {
  const share = (first + halfPrior) / (first + second + 2 * halfPrior);
  return Math.abs(share - 0.5) <= 0.05 ? 0.5 : share;
}

/** The sums after one more poll: the squared difference of the two halves, scaled to what equal halves would give. */
export function addDispersion(
  { squares, bad }: Pick<TestState, "squares" | "bad">,
  poll: TestPoll,
  share: number,
): { squares: number; bad: number } {
  const [first, second] = poll.halvesBad;
  const all = first + second;
  return { squares: squares + (first - share * all) ** 2 / (share * (1 - share)), bad: bad + all };
}
