import { type Arm, bucketBounds, type Window } from "../../api/signals.ts";
import { answerKinds, keyOf, type Subject } from "./counts.ts";
import type { Growth } from "./proxy.ts";
import { type Second, Seconds } from "./seconds.ts";

/** Seconds that are kept: five minutes before a run, and a check of five minutes beside it. */
export const keptSeconds = 660;
/** A subject that no request reached for this long, in seconds, is forgotten. */
const forgetAfter = 900;

/** Where a second's counts stand in its cells. */
const requestsCell = 0;
const failedCell = 1;
const answerCell = 2;
const bucketCell = answerCell + answerKinds.length;

/** What a subject counted up to a moment. */
export interface Total {
  requests: number;
  failed: number;
  /** By {@link answerKinds}. */
  readonly answers: number[];
  readonly buckets: number[];
}

/** The past of one subject (one half of a workload's pods), oldest second first. */
export interface Past {
  readonly subject: Subject;
  readonly half: 0 | 1;
  /** Counted before the first of `seconds`. */
  readonly before: Total;
  /** Totals at the end of each second that brought anything. The object is the same each time: copy what is kept. */
  readonly seconds: Iterable<{ readonly second: number; readonly total: Total }>;
}

interface Kept {
  readonly subject: Subject;
  readonly half: 0 | 1;
  readonly seconds: Seconds;
}

/**
 * What all proxies together saw of each subject, second by second: the past that a new run starts from, and the series
 * that queries are answered from.
 *
 * Summed over proxies, so its size follows the number of services in use (5 to 30 kB each), never that of proxies. Its
 * seconds are those of a clock that never jumps.
 */
export class History {
  private readonly kept = new Map<string, Kept>();

  /** @param at milliseconds of the clock that never jumps */
  add(half: 0 | 1, at: number, growth: Growth): void {
    if (growth.requests === 0 && growth.failed === 0) return;
    const name = `${half} ${growth.key}`;
    let kept = this.kept.get(name);
    if (kept === undefined) {
      kept = { subject: growth.totals.subject, half, seconds: new Seconds(keptSeconds) };
      this.kept.set(name, kept);
    }
    const { seconds } = kept;
    seconds.begin(Math.floor(at / 1000));
    seconds.add(requestsCell, growth.requests);
    seconds.add(failedCell, growth.failed);
    for (const [kind, count] of growth.answers) seconds.add(answerCell + kind, count);
    const { buckets } = growth;
    for (let bucket = 0; bucket < buckets.length; bucket++) {
      const count = buckets[bucket] ?? 0;
      if (count > 0) seconds.add(bucketCell + bucket, count);
    }
  }

  /** Drops what has been still for a long time. */
  forget(at: number): void {
    for (const [name, { seconds }] of this.kept)
      if (seconds.newest < at / 1000 - forgetAfter) this.kept.delete(name);
  }

  /** Everything since `from` (milliseconds of its clock). */
  *pasts(from: number): Generator<Past> {
    for (const kept of this.kept.values()) yield pastOf(kept, from);
  }

  /**
   * Cumulative windows of one subject from `from` on, oldest first, beginning at 0.
   *
   * @param offset what makes epoch milliseconds of its clock's
   */
  windows(subject: Subject, half: 0 | 1, arm: Arm, from: number, offset: number, replica: string): Window[] {
    const kept = this.kept.get(`${half} ${keyOf(subject)}`);
    if (kept === undefined) return [];
    const source = {
      replica,
      proxy: `* ${half === 0 ? "first" : "second"} half at ${replica}`,
      start: Math.round(from + offset),
    };
    const { before, seconds } = pastOf(kept, from);
    const windows: Window[] = [];
    for (const { second, total } of seconds) {
      windows.push({
        kind: "window",
        source,
        seq: second,
        at: Math.round(second * 1000 + 999 + offset),
        arm,
        side: subject.side,
        half,
        requests: total.requests - before.requests,
        failed: total.failed - before.failed,
        buckets: total.buckets.map((count, index) => count - (before.buckets[index] ?? 0)),
        connections: 0,
      });
    }
    return windows;
  }
}

function pastOf({ subject, half, seconds }: Kept, from: number): Past {
  const first = Math.floor(from / 1000);
  const before = emptyTotal();
  addTo(before, seconds.dropped);
  for (const { second, cells } of seconds.since(Number.NEGATIVE_INFINITY)) {
    if (second >= first) break;
    addTo(before, cells);
  }
  return { subject, half, before, seconds: totals(before, seconds.since(first)) };
}

function* totals(before: Total, seconds: Iterable<Second>): Generator<{ second: number; total: Total }> {
  const total: Total = { ...before, answers: [...before.answers], buckets: [...before.buckets] };
  for (const { second, cells } of seconds) {
    addTo(total, cells);
    yield { second, total };
  }
}

function emptyTotal(): Total {
  return {
    requests: 0,
    failed: 0,
    answers: answerKinds.map(() => 0),
    buckets: Array.from({ length: bucketBounds.length + 1 }, () => 0),
  };
}

function addTo(total: Total, cells: ReadonlyMap<number, number>): void {
  for (const [cell, count] of cells) {
    if (cell === requestsCell) total.requests += count;
    else if (cell === failedCell) total.failed += count;
    else if (cell < bucketCell)
      total.answers[cell - answerCell] = (total.answers[cell - answerCell] ?? 0) + count;
    else total.buckets[cell - bucketCell] = (total.buckets[cell - bucketCell] ?? 0) + count;
  }
}
