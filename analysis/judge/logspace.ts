/** ln(e^a + e^b), exact for -Infinity on either side. */
export function logAddExp(a: number, b: number): number {
  const high = Math.max(a, b);
  if (high === Number.NEGATIVE_INFINITY) return high;
  return high + Math.log1p(Math.exp(Math.min(a, b) - high));
}

/** ln of the sum of e^x; -Infinity for none. */
export function logSumExp(values: readonly number[]): number {
  const high = Math.max(...values);
  if (!Number.isFinite(high)) return values.length === 0 ? Number.NEGATIVE_INFINITY : high;
  return high + Math.log(values.reduce((sum, value) => sum + Math.exp(value - high), 0));
}
