import type { Rescues } from "./series/ledger.ts";

/** E.g. `the primary answered 120 users in the canary's place, 3 met its failure`; undefined where there was no failure. */
export function describeRescues({ rescued, notRescued }: Rescues): string | undefined {
  if (rescued === 0 && notRescued === 0) return undefined;
  return `the primary answered ${rescued} user${rescued === 1 ? "" : "s"} in the canary's place, ${notRescued} met its failure`;
}
