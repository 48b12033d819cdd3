/**
 * The quantile `q` of a histogram as Prometheus' `histogram_quantile` gives it: linear inside the bucket; the highest
 * bound where it lies beyond all. NaN where there are no observations.
 */
export function histogramQuantile(q: number, buckets: readonly number[], bounds: readonly number[]): number {
  const all = buckets.reduce((sum, count) => sum + count, 0);
  if (!(all > 0)) return Number.NaN;
  const rank = q * all;
  let below = 0;
  for (const [bucket, upper] of bounds.entries()) {
    const inside = buckets[bucket] ?? 0;
    if (below + inside >= rank && inside > 0) {
      const lower = bounds[bucket - 1] ?? 0;
      return lower + ((upper - lower) * (rank - below)) / inside;
    }
    below += inside;
  }
  return bounds.at(-1) ?? Number.NaN;
}
