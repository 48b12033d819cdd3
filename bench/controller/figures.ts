import type { Timeline } from "./watcher.ts";

/** The value below which this share of all lies; NaN where there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(Math.ceil(sorted.length * share), sorted.length) - 1] ?? Number.NaN;
}

/** How far each step after the first is from its beat, the first weight plus a whole number of intervals; milliseconds. */
export function stepJitter({ weights }: Timeline, interval: number): readonly number[] {
  const [first, ...later] = weights;
  if (first === undefined) return [];
  return later.map(({ at }, index) => Math.abs(at - first.at - (index + 1) * interval));
}

/** From the pods' readiness to the first weight, as seen from outside; undefined where there is none. */
export function firstWeightMs({ readyAt, weights }: Timeline): number | undefined {
  const first = weights[0];
  return readyAt === undefined || first === undefined ? undefined : Math.max(first.at - readyAt, 0);
}
