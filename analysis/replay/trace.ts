import type { Percent } from "../../lib/units.ts";
import type { Counts } from "../judge/types.ts";

/** The first line of a trace. */
export interface TraceHead {
  readonly v: 1;
  readonly scenario: string;
  readonly seed: number;
  /** Number of hash cells that requests are divided into. */
  readonly cells: number;
  /** Upper bounds of the latency buckets, milliseconds. */
  readonly bounds: readonly number[];
}

/** One second: requests of each hash cell, and what would come of them on the primary (p) and on the canary (c). */
export interface TraceSecond {
  /** Seconds since the run began; negative ones are the primary's past. */
  readonly t: number;
  readonly n: readonly number[];
  readonly ep: readonly number[];
  readonly ec: readonly number[];
  readonly hp: readonly (readonly number[])[];
  readonly hc: readonly (readonly number[])[];
}

export interface Trace {
  readonly head: TraceHead;
  readonly seconds: readonly TraceSecond[];
}

/** What both arms answered in one second, at one weight. */
export interface SecondCounts {
  readonly canary: Counts;
  readonly primary: readonly [Counts, Counts];
}

/** A trace that cannot be replayed. */
export class TraceError extends Error {
  override readonly name = "TraceError";
}

/** Reads a trace (NDJSON: a head, then a line a second). @throws {TraceError} naming the line that is not one */
export function readTrace(text: string): Trace {
  const [first, ...rest] = text.split("\n").filter((line) => line.trim() !== "");
  if (first === undefined) throw new TraceError("the trace is empty");
  const head: unknown = parseLine(first, 1);
  if (!isHead(head)) throw new TraceError("line 1 is no trace head: it needs `v` 1, `cells` and `bounds`");
  const seconds = rest.map((line, index) => {
    const second: unknown = parseLine(line, index + 2);
    if (!isSecond(second, head))
      throw new TraceError(`line ${index + 2} is no second of a trace with ${head.cells} cells`);
    return second;
  });
  return { head, seconds };
}

/** At weight w the cells [0, w/5) take the canary's outcome, the others the primary's in two halves. */
export function countsAt(second: TraceSecond, weight: Percent, { cells, bounds }: TraceHead): SecondCounts {
  const canary = second.t >= 0 ? Math.floor((weight * cells) / 100) : 0;
  const half = canary + Math.floor((cells - canary) / 2);
  const count = (
    from: number,
    to: number,
    failed: readonly number[],
    latencies: TraceSecond["hp"],
  ): Counts => ({
    requests: total(second.n, from, to),
    failed: total(failed, from, to),
    buckets: Array.from({ length: bounds.length + 1 }, (_, bucket) =>
      latencies.slice(from, to).reduce((sum, cell) => sum + (cell[bucket] ?? 0), 0),
    ),
  });
  return {
    canary: count(0, canary, second.ec, second.hc),
    primary: [count(canary, half, second.ep, second.hp), count(half, cells, second.ep, second.hp)],
  };
}

function total(values: readonly number[], from: number, to: number): number {
  let sum = 0;
  for (let index = from; index < to; index++) sum += values[index] ?? 0;
  return sum;
}

function parseLine(line: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new TraceError(`line ${number} is not json`, { cause });
  }
}

function isHead(value: unknown): value is TraceHead {
  if (typeof value !== "object" || value === null) return false;
  const { v, cells, bounds } = value as Partial<Record<keyof TraceHead, unknown>>;
  return (
    v === 1 &&
    Number.isInteger(cells) &&
    Array.isArray(bounds) &&
    bounds.every((bound) => typeof bound === "number")
  );
}

function isSecond(value: unknown, { cells, bounds }: TraceHead): value is TraceSecond {
  if (typeof value !== "object" || value === null) return false;
  const { t, n, ep, ec, hp, hc } = value as Partial<Record<keyof TraceSecond, unknown>>;
  const numbers = (list: unknown, length: number): boolean =>
    Array.isArray(list) && list.length === length && list.every((item) => Number.isFinite(item) && item >= 0);
  const tables = (list: unknown): boolean =>
    Array.isArray(list) && list.length === cells && list.every((item) => numbers(item, bounds.length + 1));
  return Number.isInteger(t) && [n, ep, ec].every((list) => numbers(list, cells)) && [hp, hc].every(tables);
}
