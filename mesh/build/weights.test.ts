import fc from "fast-check";
import { expect, test } from "vitest";
import { normaliseWeights, totalWeight } from "./weights.ts";

test("shares sum to a million and are within one of their exact proportion", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1_000_000), { minLength: 1, maxLength: 8 }), (weights) => {
      const sum = weights.reduce((total, weight) => total + weight, 0);
      const shares = normaliseWeights(weights);
      expect(shares.reduce((total, share) => total + share, 0)).toBe(sum === 0 ? 0 : totalWeight);
      for (const [index, weight] of weights.entries()) {
        if (sum > 0) expect(Math.abs((shares[index] ?? 0) - (weight * totalWeight) / sum)).toBeLessThan(1);
        if (weight === 0) expect(shares[index]).toBe(0);
      }
    }),
  );
});

test("percents are exact", () => expect(normaliseWeights([99, 1])).toEqual([990_000, 10_000]));
