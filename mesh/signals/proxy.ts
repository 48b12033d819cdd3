import { bucketBounds, type Gap, type Source } from "../../api/signals.ts";
import type { Counts } from "./counts.ts";

/** Reports come each second; from this distance on one of them was lost, and its latencies with it. */
const lostAfterMs = 1_800;

/** Cumulative counts of one subject at one proxy. */
export interface Totals {
  readonly subject: Counts["subject"];
  requests: number;
  failed: number;
  connections: number;
  readonly classes: number[];
  readonly buckets: number[];
}

/** What a report changed: totals now, and how much they grew since the report before. */
export interface Growth {
  readonly key: string;
  readonly totals: Totals;
  readonly requests: number;
  readonly failed: number;
  readonly buckets: readonly number[];
}

/**
 * The counting of one proxy process over its reports.
 *
 * Counters are cumulative in Envoy; its histograms are not, so they are summed here, each report once. A
 * report with an old or equal timestamp is a repetition and changes nothing.
 */
export class ProxyCounts {
  readonly source: Source;
  private readonly totals = new Map<string, Totals>();
  private lastAt = 0;
  private seq = 0;

  constructor(source: Source) {
    this.source = source;
  }

  /** Takes a report; `at` is its flush time in epoch milliseconds. */
  take(
    at: number,
    counts: ReadonlyMap<string, Counts>,
  ): { readonly seq: number; readonly growth: readonly Growth[]; readonly gap: Gap | undefined } {
    if (at <= this.lastAt) return { seq: this.seq, growth: [], gap: undefined };
    const gap: Gap | undefined =
      this.lastAt > 0 && at - this.lastAt > lostAfterMs
        ? { kind: "gap", source: this.source, from: this.lastAt, to: at }
        : undefined;
    // Only what is in use is reported: a subject that was not in the report before begins at 0.
    const seen = this.lastAt > 0 && gap === undefined;
    this.lastAt = at;
    this.seq += 1;
    const growth: Growth[] = [];
    for (const [key, now] of counts) growth.push(this.grow(key, now, seen));
    return { seq: this.seq, growth, gap };
  }

  private grow(key: string, now: Counts, seen: boolean): Growth {
    const known = this.totals.get(key);
    const totals: Totals = known ?? {
      subject: now.subject,
      requests: 0,
      failed: 0,
      connections: 0,
      classes: [],
      buckets: Array.from({ length: bucketBounds.length + 1 }, () => 0),
    };
    // What a proxy counted before its first report was not seen from here: it is a base, not growth.
    const base = known !== undefined || seen;
    const requests = base ? Math.max(0, now.requests - totals.requests) : 0;
    const failed = base ? Math.max(0, now.failed - totals.failed) : 0;
    const buckets = base ? now.latencies : [];
    totals.requests = now.requests;
    totals.failed = now.failed;
    totals.connections = now.connections;
    totals.classes.splice(0, totals.classes.length, ...now.classes);
    now.latencies.forEach((count, index) => {
      totals.buckets[index] = (totals.buckets[index] ?? 0) + count;
    });
    this.totals.set(key, totals);
    return { key, totals, requests, failed, buckets };
  }
}
