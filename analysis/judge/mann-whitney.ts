import type { Fraction } from "../../lib/units.ts";
import { normalQuantile } from "../simulate/normal.ts";

/** Confidence of the interval, and the part of the shift that counts as equal. */
const confidence = 0.98;
const tolerance = 0.25;

/**
 * Kayenta's Mann-Whitney judge of one metric that should not rise: is the canary's series higher than the baseline's?
 * The lower limit of the interval of the shift must be above a quarter of the Hodges-Lehmann shift, and the canary's
 * mean at least `allowedIncrease` times the baseline's (Kayenta's `effectSize`; 1: no effect size is asked). For series
 * that have no counts; it is blind to how many requests stand behind a point, and not corrected for repeated looks.
 */
export function isHigh(canary: readonly number[], baseline: readonly number[], allowedIncrease = 1): boolean {
  if (allowedIncrease > 1 && mean(canary) < allowedIncrease * mean(baseline)) return false;
  const differences = canary.flatMap((value) => baseline.map((other) => value - other)).sort((a, b) => a - b);
  const [n, m] = [canary.length, baseline.length];
  const deviation = Math.sqrt((n * m * (n + m + 1)) / 12);
  const rank = Math.floor((n * m) / 2 - normalQuantile(oneSided) * deviation - 0.5);
  const limit = differences[rank];
  return limit !== undefined && rank >= 0 && limit > tolerance * Math.abs(median(differences));
}

const oneSided: Fraction = 1 - (1 - confidence) / 2;

function median(sorted: readonly number[]): number {
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
