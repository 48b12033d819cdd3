import type { Counts } from "../judge/types.ts";
import type { PairedMetric } from "./pair.ts";

/** What a provider told of both arms at one moment; counters cumulative. */
export type PairReading =
  | { readonly kind: "counts"; readonly canary: Tally; readonly primary: Tally }
  | { readonly kind: "values"; readonly canary: number; readonly primary: number };

type Tally = Pick<Counts, "requests" | "failed">;

/** Asks for both arms at once. Never rejects; undefined where not all of it is known. */
export async function measurePair(pair: PairedMetric, signal: AbortSignal): Promise<PairReading | undefined> {
  const ask = async ({ provider, query }: Extract<PairedMetric, { kind: "values" }>["canary"]) => {
    try {
      const answer = await provider.query(query, signal);
      return answer.kind === "value" && Number.isFinite(answer.value) ? answer.value : undefined;
    } catch {
      return undefined;
    }
  };
  if (pair.kind === "values") {
    const [canary, primary] = await Promise.all([ask(pair.canary), ask(pair.primary)]);
    return canary === undefined || primary === undefined ? undefined : { kind: "values", canary, primary };
  }
  const [total, bad, primaryTotal, primaryBad] = await Promise.all([
    ask(pair.canary.total),
    ask(pair.canary.bad),
    ask(pair.primary.total),
    ask(pair.primary.bad),
  ]);
  if (total === undefined || primaryTotal === undefined) return undefined;
  // A counter of bad ones appears with the first of them.
  return {
    kind: "counts",
    canary: { requests: total, failed: bad ?? 0 },
    primary: { requests: primaryTotal, failed: primaryBad ?? 0 },
  };
}
