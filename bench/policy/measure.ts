import { performance } from "node:perf_hooks";
import { quantile } from "../rollback/figures.ts";

/** Calls that are timed together: one alone is shorter than the clock's step. */
const together = 16;

export interface Speed {
  /** Median microseconds of one call, over groups of calls. */
  readonly p50Us: number;
  /** Calls a second of the time spent in them. */
  readonly perSecond: number;
}

/**
 * Decides requests for so many milliseconds, after a third of that to get warm. The requests of each group are made
 * afresh just before, outside the time, as a server has just read those that it decides.
 */
export function measure<T>(
  make: (index: number) => T,
  decide: (request: T) => unknown,
  milliseconds: number,
  group = together,
): Speed {
  const times: number[] = [];
  let index = 0;
  let spent = 0;
  const start = performance.now();
  while (performance.now() - start < milliseconds * (4 / 3)) {
    const requests = Array.from({ length: group }, () => make(index++));
    const before = performance.now();
    for (const request of requests) decide(request);
    const took = performance.now() - before;
    if (before - start < milliseconds / 3) continue;
    times.push((took * 1000) / group);
    spent += took;
  }
  return { p50Us: quantile(times, 0.5), perSecond: ((times.length * group) / spent) * 1000 };
}
