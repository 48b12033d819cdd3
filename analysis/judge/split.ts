import type { JudgeState } from "./types.ts";

/** Requests by which what was seen is shrunk to what was expected. */
const shrinkage = 50;

/**
 * The canary's share of one poll's requests: as seen, shrunk to what was expected, which is the weight asked for
 * corrected by what this step has shown. High traffic so uses what was seen (sticky sessions, lagging weights); at
 * one request a second the weight is all there is. Never 1.
 */
export function splitShare(
  { weight, seen }: Pick<JudgeState, "weight" | "seen">,
  canary: number,
  primary: number,
): number {
  const expected = ((shrinkage * weight) / 100 + seen.canary) / (shrinkage + seen.canary + seen.primary);
  return Math.min((canary + shrinkage * expected) / (canary + primary + shrinkage), 1 - 1e-6);
}
