import type { Percent } from "../../lib/units.ts";

/**
 * The weights of a canary in order, from stepWeights, or stepWeight and maxWeight (default 100), none above 100.
 *
 * Differs from Flagger, whose last step overshoots maxWeight when stepWeight does not divide it (docs/differences.md).
 * Empty where neither is above 0: such an analysis has no weights.
 */
export function plannedWeights(analysis: {
  readonly stepWeight?: number | undefined;
  readonly stepWeights?: readonly number[] | undefined;
  readonly maxWeight?: number | undefined;
}): Percent[] {
  const { stepWeight = 0, stepWeights } = analysis;
  if (stepWeights !== undefined && stepWeights.length > 0) {
    const capped = stepWeights.map((weight) => Math.min(weight, 100)).filter((weight) => weight > 0);
    return capped.filter((weight, index) => index === 0 || weight > Math.max(...capped.slice(0, index)));
  }
  const last =
    analysis.maxWeight === undefined || analysis.maxWeight <= 0 ? 100 : Math.min(analysis.maxWeight, 100);
  if (!(stepWeight > 0)) return [];
  const weights: Percent[] = [];
  for (let weight = stepWeight; weight < last && weights.length < 1000; weight += stepWeight)
    weights.push(weight);
  return [...weights, last];
}

/** The weight after `weight`; undefined at or above the last: the next move is promotion. */
export function nextWeight(weight: Percent, steps: readonly Percent[]): Percent | undefined {
  return steps.find((step) => step > weight);
}

/** Which step `weight` is, 1 for the first; a weight between two steps counts as the lower one, at least 1. */
export function stepNumber(weight: Percent, steps: readonly Percent[]): number {
  return Math.max(1, steps.filter((step) => step <= weight).length);
}
