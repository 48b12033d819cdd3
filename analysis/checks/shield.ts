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
 * Fails where most attempts at the canary failed, by its callers' proxies or by its own, or where its attempts stay far
 * below its weight (`missing` says so). Where the callers tell of no attempt it says nothing, and holds.
 */
export function checkShield(
  recent: Recent,
  interval: Milliseconds,
  missing: string | undefined,
  now: number,
): Check {
  const range = { min: leastAnswered };
  const spanOf = (side: "client" | "destination") => {
    const last = recent.span(side, interval, now);
    return last.requests > 0 ? last : recent.span(side, Math.max(interval, shieldLooksBack), now);
  };
  const client = spanOf("client");
  if (missing !== undefined) {
    const threshold = `>= ${leastAnswered}`;
    return { name: shieldCheck, kind: "failed", threshold, samples: client.requests, reason: missing };
  }
  if (client.requests === 0)
    return noData(
      shieldCheck,
      range,
      `no values found for metric ${shieldCheck}: no attempt at the canary was reported`,
    );
  const destination = spanOf("destination");
  const worse =
    destination.failed * client.requests > client.failed * destination.requests ? destination : client;
  const { requests, failed } = worse;
  const check = checkValue(shieldCheck, (100 * (requests - failed)) / requests, range);
  return { ...check, samples: requests, reason: `${failed} of ${requests} attempts at the canary failed` };
}
