import type { Milliseconds, Percent } from "../../lib/units.ts";
import type { Recent } from "../series/recent.ts";
import { checkValue, noData } from "./threshold.ts";
import type { Check } from "./types.ts";

/** The check that every shielded canary has beside its author's: what users no longer notice must not be promoted. */
export const shieldCheck = "shield";

/** Percent of attempts that must be answered, whatever the author's own metrics say. */
const leastAnswered: Percent = 50;
/** Looked back at most where the interval had no attempts, unless it is longer itself. */
export const shieldLooksBack: Milliseconds = 60_000;

/**
 * Fails where most attempts at the canary failed, or where its attempts stay far below its weight (`missing` says so).
 * No attempt at all tells nothing, and holds.
 */
export function checkShield(
  recent: Recent,
  interval: Milliseconds,
  missing: string | undefined,
  now: number,
): Check {
  const range = { min: leastAnswered };
  const last = recent.span("client", interval, now);
  const span = last.requests > 0 ? last : recent.span("client", Math.max(interval, shieldLooksBack), now);
  const { requests, failed } = span;
  if (missing !== undefined)
    return {
      name: shieldCheck,
      kind: "failed",
      threshold: `>= ${leastAnswered}`,
      samples: requests,
      reason: missing,
    };
  if (requests === 0)
    return noData(
      shieldCheck,
      range,
      `no values found for metric ${shieldCheck}: no attempt at the canary was reported`,
    );
  const check = checkValue(shieldCheck, (100 * (requests - failed)) / requests, range);
  return { ...check, samples: requests, reason: `${failed} of ${requests} attempts at the canary failed` };
}
