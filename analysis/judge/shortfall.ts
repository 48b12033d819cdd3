import type { Fraction, Milliseconds, Percent } from "../../lib/units.ts";
import { binomialTail } from "./binomial.ts";

/**
 * Whether a shielded canary gets the attempts that its weight sends it. One without a ready endpoint gets none: nothing
 * fails then, and users are served, so the attempts that are missing are all there is to see.
 */

/** First attempts of some time at one weight. */
export interface Attempts {
  readonly canary: number;
  readonly primary: number;
}

export const noAttempts: Attempts = { canary: 0, primary: 0 };

/** The canary's attempts that the weight has to lead to expect before their absence says anything. */
const leastExpected = 20;
/** Beyond this many expected ones that came as expected, counting begins anew, so that a later loss shows at once. */
const enough = 2 * leastExpected;
/** Most chance, at a look, to call it a shortfall where the canary gets half of its share. */
const falseAlarm = 1e-4;
/** What reports of the weight before may take to come in. */
export const settling: Milliseconds = 3000;

/** How many of all first attempts the weight leads to expect at the canary. */
function expected({ canary, primary }: Attempts, weight: Percent): number {
  return ((canary + primary) * weight) / 100;
}

/**
 * Whether far fewer first attempts reached the canary than its weight asks for: fewer than a half of its share explains
 * by chance (binomial, 1 in 10,000 a look). With its whole share that happens less than once in 10^8 looks.
 */
export function isShort(attempts: Attempts, weight: Percent): boolean {
  if (expected(attempts, weight) < leastExpected) return false;
  const { canary, primary } = attempts;
  const half: Fraction = weight / 200;
  // At most so many at the canary is at least all others at the primary.
  return binomialTail(primary, canary + primary, 1 - half) < falseAlarm;
}

/** The attempts so far with those of one more poll. */
export function addAttempts(before: Attempts, more: Attempts, weight: Percent): Attempts {
  const settled = expected(before, weight) >= enough && !isShort(before, weight);
  const { canary, primary } = settled ? noAttempts : before;
  return { canary: canary + more.canary, primary: primary + more.primary };
}

/** E.g. `3 attempts reached the canary where its weight of 20 % asks for about 52`; undefined where there is no shortfall. */
export function shortfall(attempts: Attempts, weight: Percent): string | undefined {
  if (weight <= 0 || !isShort(attempts, weight)) return undefined;
  const { canary } = attempts;
  const reached = canary === 0 ? "no attempt" : canary === 1 ? "1 attempt" : `${canary} attempts`;
  return `${reached} reached the canary where its weight of ${weight} % asks for about ${Math.round(expected(attempts, weight))}`;
}
