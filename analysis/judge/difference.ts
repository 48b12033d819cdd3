import type { Counters, Counts } from "./types.ts";

/**
 * What happened between two polls. A counter that fell was reset: it counts from 0. Anything that is no count (NaN,
 * infinite, negative, a bucket missing) makes the whole group count as nothing.
 */
export function difference(before: Counts | undefined, now: Counts): Counts {
  if (!isCount(now)) return { requests: 0, failed: 0, buckets: now.buckets.map(() => 0) };
  const reset = before === undefined || now.requests < before.requests || now.failed < before.failed;
  const from = reset ? undefined : before;
  const requests = now.requests - (from?.requests ?? 0);
  const bucketsReset =
    before === undefined || now.buckets.some((count, bucket) => count < (before.buckets[bucket] ?? 0));
  return {
    requests,
    failed: Math.min(now.failed - (from?.failed ?? 0), requests),
    buckets: now.buckets.map((count, bucket) => count - (bucketsReset ? 0 : (before.buckets[bucket] ?? 0))),
  };
}

/** The counters to compare the next poll with: a group that was no count keeps its last good value. */
export function comparable(before: Counters | undefined, now: Counters): Counters {
  const keep = (was: Counts | undefined, is: Counts): Counts =>
    isCount(is) ? is : (was ?? { requests: 0, failed: 0, buckets: is.buckets.map(() => 0) });
  return {
    ...now,
    canary: keep(before?.canary, now.canary),
    primary: keep(before?.primary, now.primary),
    halves: now.halves && [
      keep(before?.halves?.[0], now.halves[0]),
      keep(before?.halves?.[1], now.halves[1]),
    ],
  };
}

function isCount({ requests, failed, buckets }: Counts): boolean {
  return [requests, failed, ...buckets].every((count) => Number.isFinite(count) && count >= 0);
}
