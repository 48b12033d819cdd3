import type { Evidence } from "./harm.ts";

/** Bets that the canary's bad rate is this part of what must be ruled out; equal prior. */
export const safeBets = [0.1, 0.35, 0.7] as const;

/** Evidence (nats) of one poll that the canary's bad rate is below `rho` x the primary's + `mde`. */
export function safeIncrement(evidence: Evidence, rho: number, mde: number, bet: number): number {
  const { share, canary, canaryBad, primaryBad } = evidence;
  const lnB = Math.log1p(((1 - bet) * rho * share) / (1 - share));
  return canaryBad * Math.log(bet) + primaryBad * lnB + (1 - bet) * mde * canary;
}
