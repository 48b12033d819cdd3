import { bucketBounds, type Gap, type Source } from "../../api/signals.ts";
import { type Counts, keyOf } from "./counts.ts";
import { type Losses, lossesAfter, type ShieldCounts, type ShieldGrowth } from "./shield.ts";

/** Reports come each second; from this distance on one of them was lost, and its latencies with it. */
const lostAfterMs = 1_800;
/** A report this much older than the one before was not late: the proxy's clock was set back. */
const setBackMs = 30_000;
/** Proxies' clocks that are this near to ours are taken as they are. */
const sameClockMs = 2_000;

/** Cumulative counts of one subject at one proxy. */
export interface Totals {
  readonly subject: Counts["subject"];
  requests: number;
  failed: number;
  connections: number;
  /** Index in `answerKinds` → requests. */
  readonly answers: Map<number, number>;
  readonly buckets: number[];
}

/** What a report changed: totals now, and how much they grew since the report before. */
export interface Growth {
  readonly key: string;
  readonly totals: Totals;
  readonly requests: number;
  readonly failed: number;
  /** Index in `answerKinds` and requests, where there are any. */
  readonly answers: readonly (readonly [kind: number, requests: number])[];
  readonly buckets: readonly number[];
}

/**
 * The counting of one proxy process over its reports.
 *
 * Counters are cumulative in Envoy; its histograms are not, so they are summed here, each report once. A report with
 * an old or equal timestamp is a repetition and changes nothing. Times are told by our clock, whatever the proxy's is.
 */
export class ProxyCounts {
  readonly source: Source;
  private readonly totals = new Map<string, Totals>();
  /** By the canary's host. */
  private readonly losses = new Map<string, Losses>();
  /** Of the last report, by the proxy's clock and by ours. */
  private lastAt = 0;
  private lastHeard = 0;
  private seq = 0;

  constructor(source: Source) {
    this.source = source;
  }

  /** Takes a report; `at` is its flush time by the proxy's clock, `heard` ours; epoch milliseconds. */
  take(
    at: number,
    heard: number,
    counts: ReadonlyMap<string, Counts>,
  ): { readonly seq: number; readonly growth: readonly Growth[]; readonly gap: Gap | undefined } {
    const first = this.lastAt === 0;
    const setBack = at < this.lastAt - setBackMs;
    if (at <= this.lastAt && !setBack) return { seq: this.seq, growth: [], gap: undefined };
    const lost = !first && (setBack || at - this.lastAt > lostAfterMs);
    const gap: Gap | undefined = lost
      ? { kind: "gap", source: this.source, from: Math.min(this.lastHeard, heard), to: heard }
      : undefined;
    this.lastAt = at;
    this.lastHeard = heard;
    this.seq += 1;
    const growth: Growth[] = [];
    // Only what is in use is reported: a subject that was not in the report before begins at 0.
    for (const [key, now] of counts) growth.push(this.grow(key, now, !first && !lost));
    if (growth.some(isShielded)) {
      const shielded = growth.flatMap((part) => shieldGrowth(part) ?? []);
      for (const [host, parts] of Map.groupBy(shielded, (one) => one.host))
        this.losses.set(host, lossesAfter(this.losses.get(host), parts));
    }
    return { seq: this.seq, growth, gap };
  }

  /** What callers count of a host itself; undefined where this proxy calls it not. */
  ofHost(host: string): Totals | undefined {
    return this.totals.get(keyOf({ side: "client", host }));
  }

  /** What the shield of a canary's host counts, and the failures whose users it could not rescue. */
  ofShield(host: string): { readonly counts: readonly ShieldCounts[]; readonly lost: number } {
    const counts: ShieldCounts[] = [];
    for (const { subject, requests, failed, buckets } of this.totals.values()) {
      if (subject.side === "client" && subject.host === host && subject.shield !== undefined)
        counts.push({ part: subject.shield, requests, failed, buckets });
    }
    return { counts, lost: this.losses.get(host)?.lost ?? 0 };
  }

  /** A moment of the proxy's clock by ours. */
  ours(at: number): number {
    const ahead = this.lastAt - this.lastHeard;
    return Math.abs(ahead) < sameClockMs ? at : at - ahead;
  }

  private grow(key: string, now: Counts, seen: boolean): Growth {
    const known = this.totals.get(key);
    const totals: Totals = known ?? {
      subject: now.subject,
      requests: 0,
      failed: 0,
      connections: 0,
      answers: new Map(),
      buckets: Array.from({ length: bucketBounds.length + 1 }, () => 0),
    };
    // What a proxy counted before its first report was not seen from here: it is a base, not growth.
    const based = known !== undefined || seen;
    // A cluster that went and came again counts from 0.
    const reset = now.requests < totals.requests || now.failed < totals.failed;
    const since = (before: number, count: number): number => (based ? count - (reset ? 0 : before) : 0);
    const answers: (readonly [number, number])[] = [];
    for (const [kind, count] of now.answers) {
      const more = since(totals.answers.get(kind) ?? 0, count);
      if (more > 0) answers.push([kind, more]);
      totals.answers.set(kind, count);
    }
    const growth: Growth = {
      key,
      totals,
      requests: since(totals.requests, now.requests),
      failed: since(totals.failed, now.failed),
      answers,
      buckets: (based ? now.latencies : undefined) ?? [],
    };
    totals.requests = now.requests;
    totals.failed = now.failed;
    totals.connections = now.connections;
    const { latencies = [] } = now;
    // In a loop, as every report brings some: a function for each bucket costs more than the sum.
    for (let bucket = 0; bucket < latencies.length; bucket++) {
      const count = latencies[bucket] ?? 0;
      if (count > 0) totals.buckets[bucket] = (totals.buckets[bucket] ?? 0) + count;
    }
    if (known === undefined) this.totals.set(key, totals);
    return growth;
  }
}

function isShielded({ totals: { subject } }: Growth): boolean {
  return subject.side === "client" && subject.shield !== undefined;
}

function shieldGrowth({
  totals: { subject },
  requests,
  failed,
}: Growth): (ShieldGrowth & { readonly host: string }) | undefined {
  if (subject.side !== "client" || subject.shield === undefined) return undefined;
  return { host: subject.host, part: subject.shield, requests, failed };
}
