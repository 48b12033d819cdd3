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
  return {
    requests,
    failed: Math.min(now.failed - (from?.failed ?? 0), requests),
    buckets: before === undefined ? now.buckets : bucketsBetween(before.buckets, now.buckets),
  };
}

/** What the buckets grew by; all of them count from 0 where one of them fell. In a loop, as it runs for each run and second. */
export function bucketsBetween(before: readonly number[], now: readonly number[]): readonly number[] {
  // As long as it will be from the start: one that grows leaves its shorter selves behind.
  const grown = now.slice();
  for (let bucket = 0; bucket < now.length; bucket++) {
    const more = (now[bucket] ?? 0) - (before[bucket] ?? 0);
    if (more < 0) return now;
    grown[bucket] = more;
  }
  return grown;
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
  if (!isCounted(requests) || !isCounted(failed)) return false;
  for (let bucket = 0; bucket < buckets.length; bucket++) if (!isCounted(buckets[bucket] ?? 0)) return false;
  return true;
}

function isCounted(count: number): boolean {
  return Number.isFinite(count) && count >= 0;
}
