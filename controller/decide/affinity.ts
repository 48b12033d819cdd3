import { createHash } from "node:crypto";
import type { Percent } from "../../lib/units.ts";

/** Names of the two cookies that keep a user where the first answer came from. */
export interface CookieNames {
  readonly canary: string;
  readonly primary: string;
}

/**
 * Who stays where at one weight. Cookies are `name=value`.
 *
 * A user of the canary stays there for the whole run. A user of the primary stays there for the step, and is drawn
 * again at the next one with just the chance that makes the canary's share of users the weight.
 */
export interface Affinity {
  readonly canary: string;
  readonly primary: string;
  /** The primary's cookies of earlier steps, and which share of their users goes over now. */
  readonly earlier: readonly { readonly cookie: string; readonly canaryWeight: Percent }[];
}

/** What a run's cookies are at a weight: made from the run alone, so that a restart changes nobody's version. */
export function affinityOf(
  run: string,
  weight: Percent,
  steps: readonly Percent[],
  names: CookieNames,
): Affinity {
  return {
    canary: canaryCookie(run, names),
    primary: primaryCookie(run, weight, names),
    earlier: steps
      .filter((step) => step < weight)
      .map((step) => ({
        cookie: primaryCookie(run, step, names),
        canaryWeight: Math.round((100 * (weight - step)) / (100 - step)),
      })),
  };
}

export function canaryCookie(run: string, { canary }: CookieNames): string {
  return `${canary}=${letters(`${run} canary`)}`;
}

function primaryCookie(run: string, weight: Percent, { primary }: CookieNames): string {
  return `${primary}=${letters(`${run} primary ${weight}`)}`;
}

/** Ten letters, as Flagger's values are. */
function letters(seed: string): string {
  const digest = createHash("sha256").update(seed).digest();
  return [...digest.subarray(0, 10)].map((byte) => String.fromCharCode(97 + (byte % 26))).join("");
}
