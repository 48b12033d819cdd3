import type { Fraction, Percent } from "../../lib/units.ts";
import { normalQuantile, normalShare } from "../simulate/normal.ts";
import type { Rule } from "./rules.ts";

/**
 * A group sequential test of errors, as statisticians plan one: a two-proportion z at each interval's end, stratified
 * by step, against Lan and DeMets' O'Brien-Fleming bounds for a planned number of looks.
 */
export function groupSequentialRule(
  { interval, steps }: { readonly interval: number; readonly steps: readonly Percent[] },
  alpha: Fraction = 0.01,
): Rule {
  const bounds = knownBounds(informationOf(steps), alpha);
  let excess = 0;
  let variance = 0;
  let canary = { requests: 0, failed: 0 };
  let primary = { requests: 0, failed: 0 };
  return {
    past: false,
    second(t, counts, weight) {
      canary = plus(canary, counts.canary);
      for (const half of counts.primary) primary = plus(primary, half);
      if (t % interval !== 0) return "hold";
      const all = Math.max(canary.requests + primary.requests, 1);
      const share = (canary.failed + primary.failed) / all;
      excess += canary.failed - canary.requests * share;
      variance += (share * (1 - share) * canary.requests * primary.requests) / all;
      canary = { requests: 0, failed: 0 };
      primary = { requests: 0, failed: 0 };
      const bound = bounds[Math.min(t / interval, bounds.length) - 1] ?? Number.POSITIVE_INFINITY;
      if (excess / Math.sqrt(variance + 1e-9) > bound) return "roll back";
      return weight >= (steps.at(-1) ?? 0) ? "promote" : "step";
    },
    logE: () => null,
  };
}

interface Sum {
  readonly requests: number;
  readonly failed: number;
}

function plus(sum: Sum, { requests, failed }: Sum): Sum {
  return { requests: sum.requests + requests, failed: sum.failed + failed };
}

/** Share of all information that is in by the end of each step: it grows with w (1 - w). */
function informationOf(steps: readonly Percent[]): Fraction[] {
  let sum = 0;
  const sums = steps.map((step) => (sum += (step / 100) * (1 - step / 100)));
  return sums.map((value) => value / sum);
}

const computed = new Map<string, readonly number[]>();

/** The bounds, computed once: they take a tenth of a second. */
function knownBounds(information: readonly Fraction[], alpha: Fraction): readonly number[] {
  const key = `${alpha} ${information.join()}`;
  const bounds = computed.get(key) ?? spendingBounds(information, alpha);
  if (computed.size > 100) computed.clear();
  computed.set(key, bounds);
  return bounds;
}

/** Width of the grid on which the score's distribution is carried from look to look. */
const grid = 0.02;
const widest = 8;

/**
 * One-sided bounds on z at these information fractions, which spend `alpha` as O'Brien and Fleming's would: little
 * at first, most at the end. By carrying the density of the score of those that are still below (Armitage, McPherson
 * and Rowe 1969).
 */
export function spendingBounds(information: readonly Fraction[], alpha: Fraction): number[] {
  const bounds: number[] = [];
  let spent = 0;
  let before = 0;
  let density: Map<number, number> | undefined;
  for (const fraction of information) {
    const spend = 2 * (1 - normalShare(normalQuantile(1 - alpha / 2) / Math.sqrt(fraction)));
    const next = convolve(density, Math.sqrt(fraction - before));
    // From the top down until what lies above is what may be spent now.
    let above = 0;
    let cut = Number.POSITIVE_INFINITY;
    for (const point of [...next.keys()].sort((a, b) => b - a)) {
      const mass = next.get(point) ?? 0;
      if (above + mass > spend - spent) {
        cut = point * grid + grid / 2 - (grid * (spend - spent - above)) / mass;
        break;
      }
      above += mass;
    }
    for (const point of next.keys()) if (point * grid > cut) next.delete(point);
    bounds.push(Math.min(cut / Math.sqrt(fraction), widest));
    spent = spend;
    before = fraction;
    density = next;
  }
  return bounds;
}

/** The density after one more normal increment of this deviation; it begins at 0. */
function convolve(density: ReadonlyMap<number, number> | undefined, deviation: number): Map<number, number> {
  const reach = Math.ceil((widest * deviation) / grid);
  const increment = Array.from({ length: 2 * reach + 1 }, (_, index) => {
    const point = (index - reach) * grid;
    return normalShare((point + grid / 2) / deviation) - normalShare((point - grid / 2) / deviation);
  });
  const next = new Map<number, number>();
  for (const [point, mass] of density ?? [[0, 1]]) {
    for (const [index, part] of increment.entries()) {
      const to = point + index - reach;
      next.set(to, (next.get(to) ?? 0) + mass * part);
    }
  }
  return next;
}
