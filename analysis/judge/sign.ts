import type { Bad } from "./types.ts";

/**
 * Bets that the canary's value is the worse one in this share of moments; equal prior. For metrics without counts: of
 * two values of one moment the null says no more than that either is the worse one half of the time.
 */
export const signBets = [0.6, 0.75, 0.95] as const;

/** Whether the canary's value is worse than the primary's by more than the tolerance. Equal values are not. */
export function isWorse(
  canary: number,
  primary: number,
  { worse, tolerance }: Extract<Bad, { kind: "paired" }>,
): boolean {
  const room = Math.abs(primary) * tolerance;
  return worse === "higher" ? canary > primary + room : canary < primary - room;
}

/** Evidence (nats) of one moment that the canary is the worse one more often than chance: at most ln 1.9 = 0.64. */
export function signIncrement(isWorse: boolean, bet: number): number {
  return Math.log(2 * (isWorse ? bet : 1 - bet));
}
