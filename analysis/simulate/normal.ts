import type { Fraction } from "../../lib/units.ts";

/** Share of a standard normal below `x`, to 1e-15 relative in the body: West (2005), after Hart. */
export function normalShare(x: number): Fraction {
  const z = Math.abs(x);
  if (z > 37) return x > 0 ? 1 : 0;
  const density = Math.exp((-z * z) / 2);
  let tail: number;
  if (z < 7.07106781186547) {
    let numerator = 3.52624965998911e-2 * z + 0.700383064443688;
    for (const coefficient of [
      6.37396220353165, 33.912866078383, 112.079291497871, 221.213596169931, 220.206867912376,
    ])
      numerator = numerator * z + coefficient;
    let denominator = 8.83883476483184e-2 * z + 1.75566716318264;
    for (const coefficient of [
      16.064177579207, 86.7807322029461, 296.564248779674, 637.333633378831, 793.826512519948,
      440.413735824752,
    ])
      denominator = denominator * z + coefficient;
    tail = (density * numerator) / denominator;
  } else {
    const fraction = z + 1 / (z + 2 / (z + 3 / (z + 4 / (z + 0.65))));
    tail = density / (fraction * 2.506628274631);
  }
  return x > 0 ? 1 - tail : tail;
}

/** The `x` below which this share of a standard normal lies; by bisection on {@link normalShare}. */
export function normalQuantile(share: Fraction): number {
  let low = -38;
  let high = 38;
  for (let step = 0; step < 80; step++) {
    const middle = (low + high) / 2;
    if (normalShare(middle) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
