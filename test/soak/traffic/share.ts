import type { Done } from "./load.ts";

/** A weight that was asked for: percent of the second version. */
export interface Asked {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly weight: number;
  /** When the API server had taken it; undefined where nobody knows whether it has. */
  taken?: number;
}

export interface Deviation {
  /** Points between the share of the second version and the weights that may have been in force, in the worst window. */
  readonly worst: number;
  /** What chance alone explains there, points: four standard deviations. */
  readonly chance: number;
}

const window = 5000;
/** A weight counts as in force this long after it was taken at the latest, milliseconds. */
const lag = 1000;

/** How far the share of the second version was from its weight over any 5 s, in the window that exceeds chance the most. */
export function deviation(done: readonly Done[], asked: readonly Asked[]): Deviation {
  const split = done.filter(({ version }) => version !== "").sort((a, b) => a.at - b.at);
  const ranges = split.map(({ at }) => possible(asked, at));
  let found: Deviation = { worst: 0, chance: 0 };
  let excess = Number.NEGATIVE_INFINITY;
  for (let from = 0, to = 0; from < split.length; from += 50) {
    const start = split[from]?.at ?? 0;
    while (to < split.length && (split[to]?.at ?? 0) < start + window) to += 1;
    const inside = ranges.slice(from, to);
    const seen = split.slice(from, to).filter(({ version }) => version === "v2").length;
    const sum = (of: (range: readonly [number, number]) => number) =>
      inside.reduce((total, range) => total + of(range), 0);
    const [least, most] = [sum(([low]) => low), sum(([, high]) => high)];
    const variance = sum(([low, high]) => ((low + high) / 2) * (1 - (low + high) / 2));
    const worst = (100 * Math.max(0, least - seen, seen - most)) / inside.length;
    const chance = (400 * Math.sqrt(variance)) / inside.length;
    if (worst - chance <= excess) continue;
    excess = worst - chance;
    found = { worst, chance };
  }
  return found;
}

/** The least and the most that the weight may have been, 0 to 1. */
function possible(asked: readonly Asked[], at: number): readonly [number, number] {
  const sure = asked.findLastIndex(({ taken }) => taken !== undefined && taken <= at - lag);
  const weights = asked
    .slice(Math.max(0, sure))
    .filter((one) => one.at <= at)
    .map(({ weight }) => weight / 100);
  return [Math.min(...weights), Math.max(...weights)];
}
