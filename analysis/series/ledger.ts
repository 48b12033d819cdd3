import type { Arm, Window } from "../../api/signals.ts";
import { bucketsBetween } from "../judge/difference.ts";

export type Side = Window["side"];

/** What one window added to one arm. */
export interface Growth {
  readonly arm: Arm;
  readonly side: Side;
  readonly half: 0 | 1;
  /** Epoch milliseconds, by the proxy's clock. */
  readonly at: number;
  readonly requests: number;
  readonly failed: number;
  /** undefined where it is not known which of the requests were slow: the first window after a restart of ours. */
  readonly buckets: readonly number[] | undefined;
  /** Behind a shield: users that the primary answered in the canary's place, and users that met its failure all the same. */
  readonly rescues?: Rescues;
}

/** Users of a canary's failed attempts, behind a shield. */
export interface Rescues {
  readonly rescued: number;
  readonly notRescued: number;
}

/** The last counters per series, for {@link createLedger} after a restart: `key` → requests, failed. */
export type StoredLedger = Readonly<Record<string, readonly [number, number]>>;

export interface Ledger {
  /** How much the window adds to what is known; undefined where it adds nothing (repeated, late, a first base, no counts). */
  take(window: Window): Growth | undefined;
  /** The last counters, newest series first, at most `most`. */
  stored(most: number): StoredLedger;
}

/** Written anew by each window: what lived for a second only would be costly to collect. */
interface Series {
  /** In storage. */
  readonly name: string;
  source: Window["source"];
  at: number;
  seq: number;
  requests: number;
  failed: number;
  readonly buckets: number[];
  rescues: Rescues;
}

/** What a series counts from. */
interface Base {
  readonly requests: number;
  readonly failed: number;
  readonly buckets: readonly number[] | undefined;
  /** undefined where it is not known what was counted before. */
  readonly rescues?: Rescues | undefined;
}

/** Replicas tell one process' start by their own clocks: this near, it is the same process. */
const sameStart = 5_000;
/** Series not heard of for this long are forgotten. */
const forgetAfter = 600_000;
const forgetEvery = 60_000;
const mostSeries = 20_000;

/**
 * Book-keeping of cumulative windows of many proxies.
 *
 * A proxy that was counting before `since` (epoch milliseconds) begins with a base that adds nothing: its past is not
 * ours. One that started later, and a series that a known proxy begins, count from 0, and so does a counter that fell.
 * Windows may come late or twice, and a proxy may report to another replica of the mesh from one moment on: its counters
 * go on. Memory is bounded.
 */
export function createLedger(since: number, stored: StoredLedger = {}): Ledger {
  const series = new Map<string, Series>();
  const sources = new Map<string, Process>();
  const restored = new Map(Object.entries(stored));
  let forgotAt = Number.NEGATIVE_INFINITY;
  return {
    take(window) {
      if (!isWindow(window)) return undefined;
      const { source } = window;
      const { key, name } = namesOf(window);
      const known = series.get(key);
      if (known !== undefined && !isNewer(window, known)) return undefined;
      const process = sources.get(source.proxy);
      const firstSeen = process && isSame(process.source, source) ? process.at : undefined;
      if (firstSeen === undefined) sources.set(source.proxy, { source, at: window.at });
      const before = continued(known, window) ?? baseOf(window, restored.get(name), firstSeen, since);
      if (restored.size > 0) restored.delete(name);
      const growth = before && growthOf(before, window);
      if (known === undefined) series.set(key, seriesOf(name, window));
      else rewrite(known, window);
      if (series.size > mostSeries || Math.abs(window.at - forgotAt) > forgetEvery) {
        forgotAt = window.at;
        forget(series, sources, window.at);
      }
      return growth;
    },
    stored(most) {
      const newest = new Map<string, readonly [number, number]>();
      for (const { name, requests, failed } of newestFirst(series.values())) {
        if (newest.size >= most) break;
        if (!newest.has(name)) newest.set(name, [requests, failed]);
      }
      return Object.fromEntries(newest);
    },
  };
}

/** One process of a proxy, and when it was heard first. */
interface Process {
  readonly source: Window["source"];
  readonly at: number;
}

function isSame(a: Window["source"], b: Window["source"]): boolean {
  return (
    a === b || (a.start === b.start && a.replica === b.replica) || Math.abs(a.start - b.start) <= sameStart
  );
}

/** What this window goes on from; undefined where it is of another process, which begins anew. */
function continued(known: Series | undefined, { source, requests, failed }: Window): Base | undefined {
  if (known === undefined || !isSame(known.source, source)) return undefined;
  if (known.source.replica === source.replica && known.source.start === source.start) return known;
  // Heard by another replica from now on: latencies are summed there from its first report.
  if (requests < known.requests || failed < known.failed) return undefined;
  return { requests: known.requests, failed: known.failed, buckets: undefined, rescues: known.rescues };
}

const noRescues: Rescues = { rescued: 0, notRescued: 0 };

function rescuesOf({ rescued = 0, notRescued = 0 }: Window): Rescues {
  return rescued === 0 && notRescued === 0 ? noRescues : { rescued, notRescued };
}

function seriesOf(name: string, window: Window): Series {
  const { source, at, seq, requests, failed, buckets } = window;
  return { name, source, at, seq, requests, failed, buckets: buckets.slice(), rescues: rescuesOf(window) };
}

function rewrite(series: Series, window: Window): void {
  series.source = window.source;
  series.at = window.at;
  series.seq = window.seq;
  series.requests = window.requests;
  series.failed = window.failed;
  const { buckets } = window;
  series.buckets.length = buckets.length;
  // As in bucketsBetween: without an iterator, for its cost.
  for (let bucket = 0; bucket < buckets.length; bucket++) series.buckets[bucket] = buckets[bucket] ?? 0;
  series.rescues = rescuesOf(window);
}

function isNewer(window: Window, known: Series): boolean {
  // The last words of a process that has ended.
  if (window.source.start < known.source.start - sameStart) return false;
  return window.at > known.at || (window.at === known.at && window.seq > known.seq);
}

/** What a series that is new to us counts from; undefined: from this window on. */
function baseOf(
  window: Window,
  stored: readonly [number, number] | undefined,
  firstSeen: number | undefined,
  since: number,
): Base | undefined {
  if (stored !== undefined && stored[0] <= window.requests && stored[1] <= window.failed) {
    return { requests: stored[0], failed: stored[1], buckets: undefined };
  }
  const { start } = window.source;
  const began = start >= since && window.at > start;
  const joined = firstSeen !== undefined && firstSeen < window.at;
  return began || joined
    ? {
        requests: 0,
        failed: 0,
        buckets: window.buckets.map(() => 0),
        rescues: noRescues,
      }
    : undefined;
}

function growthOf(before: Base, window: Window): Growth | undefined {
  const { arm, side, half, at } = window;
  const reset = window.requests < before.requests || window.failed < before.failed;
  const requests = window.requests - (reset ? 0 : before.requests);
  const failed = Math.min(window.failed - (reset ? 0 : before.failed), requests);
  const buckets = before.buckets && bucketsBetween(before.buckets, window.buckets);
  const slow = buckets?.some((count) => count > 0) ?? false;
  const rescues = rescuesSince(before.rescues, window);
  if (requests === 0 && failed === 0 && !slow && rescues === undefined) return undefined;
  const growth: Growth = { arm, side, half, at, requests, failed, buckets };
  return rescues === undefined ? growth : { ...growth, rescues };
}

/** undefined where there were none. A counter that fell counts from 0. */
function rescuesSince(before: Rescues | undefined, window: Window): Rescues | undefined {
  const now = rescuesOf(window);
  if (before === undefined) return undefined;
  const since = (count: number, old: number): number => count - (count < old ? 0 : old);
  const rescued = since(now.rescued, before.rescued);
  const notRescued = since(now.notRescued, before.notRescued);
  return rescued > 0 || notRescued > 0 ? { rescued, notRescued } : undefined;
}

function newestFirst(series: Iterable<Series>): Series[] {
  return [...series].reverse().sort((a, b) => b.at - a.at);
}

/** Drops what was silent for long, and of more than {@link mostSeries} the oldest tenth. */
function forget(series: Map<string, Series>, sources: Map<string, Process>, now: number): void {
  for (const [key, { at }] of series) if (now - at >= forgetAfter) series.delete(key);
  if (series.size > mostSeries) {
    const oldest = newestFirst(series.values())[Math.floor(mostSeries * 0.9)]?.at ?? now;
    for (const [key, { at }] of series) if (at <= oldest) series.delete(key);
  }
  if (sources.size > mostSeries) sources.clear();
}

/** A series as a key of maps, and in storage. */
interface Names {
  readonly key: string;
  readonly name: string;
}

/** A proxy's windows share one object for their source: the names of its series are made once. */
const names = new WeakMap<Window["source"], Names[]>();

function namesOf({ source, arm, side, half }: Window): Names {
  let known = names.get(source);
  if (known === undefined) {
    known = [];
    names.set(source, known);
  }
  const series = (arm === "primary" ? 0 : 4) + (side === "client" ? 0 : 2) + half;
  const made = known[series] ?? namesIn(source, arm, side, half);
  known[series] = made;
  return made;
}

function namesIn({ proxy }: Window["source"], arm: Arm, side: Side, half: 0 | 1): Names {
  const part = `${arm === "primary" ? "p" : "c"}${side === "client" ? "c" : "d"}${half}`;
  return { key: `${proxy}|${part}`, name: `${storedName(proxy)}${part}` };
}

/**
 * How a source is named in storage: by FNV-1a of the proxy's name, so that it stays small, and without its start and the
 * replica that heard it, which a restart of ours may have forgotten: a proxy that was restarted too shows by its counters.
 */
function storedName(proxy: string): string {
  let hash = 0x811c9dc5;
  for (const unit of proxy) hash = Math.imul(hash ^ (unit.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return hash.toString(36);
}

function isWindow({ at, requests, failed, buckets, rescued = 0, notRescued = 0 }: Window): boolean {
  if (!isCount(at) || !isCount(requests) || !isCount(failed)) return false;
  if (!isCount(rescued) || !isCount(notRescued)) return false;
  for (const count of buckets) if (!isCount(count)) return false;
  return true;
}

function isCount(count: number): boolean {
  return Number.isFinite(count) && count >= 0;
}
