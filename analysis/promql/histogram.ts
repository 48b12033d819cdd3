/**
 * A quantile of cumulative buckets (upper bound, count), as Prometheus gives it: linear inside a bucket, the second
 * highest bound where it lies in the last, NaN where there is no `+Inf` bucket or nothing was counted.
 */
export function bucketQuantile(share: number, buckets: readonly (readonly [number, number])[]): number {
  // Counts of one moment may be a little out of step: they never fall.
  let highest = 0;
  const sorted = buckets
    .toSorted(([a], [b]) => a - b)
    .map(([upper, count]) => {
      highest = Math.max(highest, count);
      return [upper, highest] as const;
    });
  const all = sorted.at(-1);
  if (all === undefined || all[0] !== Number.POSITIVE_INFINITY || sorted.length < 2 || !(all[1] > 0))
    return Number.NaN;
  if (Number.isNaN(share)) return Number.NaN;
  if (share < 0) return Number.NEGATIVE_INFINITY;
  if (share > 1) return Number.POSITIVE_INFINITY;
  const rank = share * all[1];
  let below = 0;
  for (const [index, [upper, upTo]] of sorted.entries()) {
    if (upTo >= rank || index === sorted.length - 1) {
      const lower = sorted[index - 1]?.[0] ?? 0;
      if (upper === Number.POSITIVE_INFINITY) return lower;
      if (index === 0 && upper <= 0) return upper;
      return lower + (upper - lower) * ((rank - below) / (upTo - below));
    }
    below = upTo;
  }
  return Number.NaN;
}
