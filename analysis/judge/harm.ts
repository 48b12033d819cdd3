/** Bets that the canary is this many times worse than tolerated; equal prior. */
export const harmBets = [1.35, 3, 8, 40] as const;

/** What one poll showed, for one test. */
export interface Evidence {
  /** The canary's share of this poll's requests, below 1. */
  readonly share: number;
  readonly canary: number;
  readonly canaryBad: number;
  readonly primaryBad: number;
}

/**
 * Evidence (nats) of one poll that the canary's bad rate is above `rho` x the primary's + `delta`, if it is
 * `bet` times worse than that. Its exponential has mean at most 1 when the canary is within tolerance, whatever the
 * primary's rate does: A and B are chosen so that rho s A + (1 - s) B = rho s + 1 - s.
 */
export function harmIncrement(evidence: Evidence, rho: number, delta: number, bet: number): number {
  const { share, canary, canaryBad, primaryBad } = evidence;
  const tolerated = rho * share;
  const lnB = -Math.log1p(((bet - 1) * tolerated) / (tolerated + 1 - share));
  const lnA = Math.log(bet) + lnB;
  const aMinusOne = ((bet - 1) * (1 - share)) / (bet * tolerated + 1 - share);
  return canaryBad * lnA + primaryBad * lnB - delta * canary * aMinusOne;
}
