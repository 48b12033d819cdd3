import type { Bad, Counts } from "./types.ts";

/** The first bucket that counts as bad for a latency test: the sum from there on is what was too slow. */
export function firstSlowBucket(
  bad: Extract<Bad, { kind: "tail" | "slower" }>,
  bounds: readonly number[],
  past: readonly number[],
): number {
  if (bad.kind === "slower") {
    const bound = bounds.findIndex((upper) => upper >= bad.than);
    return (bound === -1 ? bounds.length : bound) + 1;
  }
  return nearestTail(past, bad.share);
}

/** The bucket from which on the share of the primary's past requests is nearest, as a ratio, to `share`. */
function nearestTail(past: readonly number[], share: number): number {
  const all = past.reduce((sum, count) => sum + count, 0);
  let best = 1;
  let bestDistance = Number.POSITIVE_INFINITY;
  let slower = all;
  for (let bucket = 1; bucket < past.length; bucket++) {
    slower -= past[bucket - 1] ?? 0;
    const distance = Math.abs(Math.log((slower + 0.5) / (all + 1)) - Math.log(share));
    if (distance < bestDistance) {
      best = bucket;
      bestDistance = distance;
    }
  }
  return best;
}

/** Requests in bucket `from` or slower. */
export function slowerThan(buckets: Counts["buckets"], from: number): number {
  let sum = 0;
  for (let bucket = from; bucket < buckets.length; bucket++) sum += buckets[bucket] ?? 0;
  return sum;
}
