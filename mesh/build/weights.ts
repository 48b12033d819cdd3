/** What the weights of one route sum to where nothing else is asked, see `mesh/build/fraction.ts`. */
export const totalWeight = 1_000_000;

/**
 * Shares of `total` in proportion to `weights`; the largest remainders get what rounding leaves.
 *
 * @returns zeros where all weights are 0
 */
export function normaliseWeights(weights: readonly number[], total = totalWeight): number[] {
  const sum = weights.reduce((all, weight) => all + weight, 0);
  if (sum <= 0) return weights.map(() => 0);
  const exact = weights.map((weight) => (weight * total) / sum);
  const shares = exact.map(Math.floor);
  const left = total - shares.reduce((all, share) => all + share, 0);
  const byRemainder = exact
    .map((share, index) => ({ index, remainder: share - Math.floor(share) }))
    .toSorted((a, b) => b.remainder - a.remainder);
  for (const { index } of byRemainder.slice(0, left)) shares[index] = (shares[index] ?? 0) + 1;
  return shares;
}
