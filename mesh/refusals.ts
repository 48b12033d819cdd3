import type { Problem } from "../api/resource.ts";
import type { Sourced } from "./build/resource.ts";
import type { Withdrawal } from "./build/withdrawals.ts";

/**
 * What proxies refused, as problems of the objects at fault: those whose part of the resource is new since the last one
 * that a proxy took; all of its sources where there was none.
 */
export function refusalProblems(withdrawals: readonly Withdrawal[]): Problem[] {
  return withdrawals.flatMap(({ resource, error, fallback }) => {
    const all = [...resource.sources];
    const fresh = all.filter((source) => !fallback?.sources.has(source));
    const culprits: readonly Sourced[] = fresh.length > 0 ? fresh : all;
    const served = fallback === undefined ? "it is left out" : "the last good one stays";
    return culprits.map(({ source }) => ({
      resource: source,
      field: "/spec",
      message: `a proxy refused ${resource.type} \`${resource.name}\`, ${served}: ${inOneLine(error)}`,
    }));
  });
}

const longest = 500;

/**
 * Envoy's words in one line. Where a field breaks a rule of its API it prints the whole resource first and cuts the
 * text off before the reason: then only that much is known.
 */
function inOneLine(error: string): string {
  if (error.startsWith("goo.gle/debug")) return "a field of it breaks a rule of Envoy's API";
  return error.replace(/\s+/g, " ").slice(0, longest);
}
