import type { Percent } from "../../lib/units.ts";

/** The weight after `weight`; undefined at or above the last: the next move is promotion. */
export function nextWeight(weight: Percent, steps: readonly Percent[]): Percent | undefined {
  return steps.find((step) => step > weight);
}

/** Which step `weight` is, 1 for the first; a weight between two steps counts as the lower one, at least 1. */
export function stepNumber(weight: Percent, steps: readonly Percent[]): number {
  return Math.max(1, steps.filter((step) => step <= weight).length);
}
