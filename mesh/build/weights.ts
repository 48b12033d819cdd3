/** What the weights of one route sum to. Beside fractions of 100 this keeps Envoy's one random number fair to both. */
export const totalWeight = 1_000_000;

/**
 * Shares of {@link totalWeight} in proportion to `weights`; the largest remainders get what rounding leaves.
 *
 * @returns zeros where all weights are 0
 */
export function normaliseWeights(weights: readonly number[]): number[] {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (sum <= 0) return weights.map(() => 0);
  const exact = weights.map((weight) => (weight * totalWeight) / sum);
  const shares = exact.map(Math.floor);
  const left = totalWeight - shares.reduce((total, share) => total + share, 0);
  const byRemainder = exact
    .map((share, index) => ({ index, remainder: share - Math.floor(share) }))
    .toSorted((a, b) => b.remainder - a.remainder);
  for (const { index } of byRemainder.slice(0, left)) shares[index] = (shares[index] ?? 0) + 1;
  return shares;
}
