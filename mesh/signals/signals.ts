import { bucketBounds, type Cut, type Run, type Signals, type Window } from "../../api/signals.ts";
import type { MetricsExport } from "../../envoy/readers/otlp-metrics.ts";
import type { Clock } from "../../lib/clock.ts";
import { hostOfCluster } from "../model/names.ts";
import { armOfHost, attemptOf } from "./attempt.ts";
import type { AttemptEntry } from "./attempt-entry.ts";
import { countsOf, keyOf, type ReportingWorkload, type Subject } from "./counts.ts";
import { halfOf } from "./half.ts";
import { History } from "./history.ts";
import { type Growth, ProxyCounts } from "./proxy.ts";
import { SignalQueue } from "./queue.ts";
import { createSeries, type MeshSeries } from "./series.ts";
import { shieldedAttemptOf, shieldedHost, sumShield } from "./shield.ts";

/** Where the reports of proxies go. */
export interface Collector {
  takeAttempts(proxy: string, entries: readonly AttemptEntry[]): void;
  /** `self`: the workload that the proxy stands before; undefined where it is not known (yet). */
  takeReport(proxy: string, report: MetricsExport, self: ReportingWorkload | undefined): void;
}

/** What holds a canary at weight 0 in every proxy: the xDS server. */
export interface Cuts {
  set(cut: Cut): { readonly held: number; readonly of: number };
  release(id: string): void;
}

interface Watcher {
  readonly run: Run;
  readonly queue: SignalQueue;
}

/** A proxy that is silent for this long is forgotten, milliseconds; and how often that is looked at. */
const forgetAfter = 600_000;
const forgetEvery = 60_000;

/** The mesh's `Signals`, and where they come from and where else they go. */
export interface SignalsRoom {
  readonly signals: Signals;
  readonly collector: Collector;
  readonly series: MeshSeries;
}

/**
 * The mesh's `Signals`: what this replica's proxies report, sorted by run.
 *
 * A report says since when its proxy counts: a restarted proxy is so told from one that reconnects. All times are by our
 * own clock, so proxies whose clocks are wrong or jump are read like all others.
 */
export function createSignals(options: {
  readonly replica: string;
  readonly clock: Clock;
  readonly cuts: Cuts;
}): SignalsRoom {
  const { replica, clock, cuts } = options;
  const proxies = new Map<string, { readonly start: number; readonly counts: ProxyCounts }>();
  /** By our monotonic clock. */
  const lastSeen = new Map<string, number>();
  const history = new History();
  const watchers = new Set<Watcher>();
  let lookedAt = clock.monotonic();
  const offset = (): number => clock.now() - clock.monotonic();

  const forget = (now: number) => {
    if (now - lookedAt < forgetEvery) return;
    lookedAt = now;
    history.forget(now);
    for (const [proxy, at] of lastSeen) {
      if (now - at < forgetAfter) continue;
      lastSeen.delete(proxy);
      proxies.delete(proxy);
    }
  };

  /** `start` and `at` by the proxy's clock. */
  const countsFor = (proxy: string, start: number, at: number, heard: number): ProxyCounts => {
    const known = proxies.get(proxy);
    if (known?.start === start) return known.counts;
    const since = start > 0 && start <= at ? heard - (at - start) : heard;
    const counts = new ProxyCounts({ replica, proxy, start: Math.round(since) });
    proxies.set(proxy, { start, counts });
    return counts;
  };

  const collector: Collector = {
    takeAttempts(proxy, entries) {
      lastSeen.set(proxy, clock.monotonic());
      if (watchers.size === 0) return;
      const counts = proxies.get(proxy)?.counts;
      const source = counts?.source ?? { replica, proxy, start: clock.now() };
      for (const entry of entries) {
        const shielded = shieldedHost(entry);
        const host = shielded ?? hostOfCluster(entry.upstreamCluster);
        if (host === undefined) continue;
        const at = counts?.ours(entry.end) ?? entry.end;
        for (const { run, queue } of watchers) {
          const arm = armOfHost(run, host);
          if (arm === undefined) continue;
          const attempt =
            shielded === undefined
              ? attemptOf(entry, arm, source, at)
              : shieldedAttemptOf(entry, run, source, at);
          if (attempt) queue.push(attempt);
        }
      }
    },

    takeReport(proxy, { at, start, samples }, self) {
      const now = clock.monotonic();
      forget(now);
      lastSeen.set(proxy, now);
      if (at === 0) return;
      const heard = clock.now();
      const proxyCounts = countsFor(proxy, start, at, heard);
      const { seq, growth, gap } = proxyCounts.take(at, heard, countsOf(samples, self));
      const half = halfOf(proxy);
      for (const part of growth) {
        const past = pastOf(part);
        if (past) history.add(past.totals.subject.side === "client" ? 0 : half, now, past);
      }
      for (const { run, queue } of watchers) {
        if (gap) queue.push(gap);
        const told = { source: proxyCounts.source, seq, at: heard, half };
        for (const part of growth) {
          const window = windowOf(run, part, told);
          if (window) queue.push(window);
        }
        if (growth.some((part) => isClientOf(run.canary.host, part)))
          queue.push(canaryWindow(run, proxyCounts, told));
      }
    },
  };

  const signals: Signals = {
    watch(run, signal) {
      const stop = () => watcher.queue.close();
      const watcher: Watcher = {
        run,
        queue: new SignalQueue(() => {
          watchers.delete(watcher);
          signal?.removeEventListener("abort", stop);
        }),
      };
      watchers.add(watcher);
      signal?.addEventListener("abort", stop, { once: true });
      if (signal?.aborted) stop();
      return watcher.queue;
    },

    history(run, seconds) {
      const from = clock.monotonic() - seconds * 1000;
      const windows: Window[] = [];
      for (const arm of ["primary", "canary"] as const) {
        for (const subject of subjectsOf(run, arm)) {
          for (const half of [0, 1] as const)
            windows.push(...history.windows(subject, half, arm, from, offset(), replica));
        }
      }
      return Promise.resolve(windows.sort((a, b) => a.at - b.at));
    },

    cut: (cut) => Promise.resolve(cuts.set(cut)),

    release(id) {
      cuts.release(id);
      return Promise.resolve();
    },

    health: () => [
      {
        replica,
        proxies: proxies.size,
        lastSeen: lastSeen.size === 0 ? 0 : Math.round(Math.max(...lastSeen.values()) + offset()),
      },
    ],
  };
  return { signals, collector, series: createSeries(history, clock) };
}

function subjectsOf(run: Run, arm: "primary" | "canary"): Subject[] {
  const { host, workload } = run[arm];
  return [
    { side: "client", host },
    { side: "destination", namespace: run.namespace, workload },
  ];
}

type Told = Pick<Window, "source" | "seq" | "at" | "half">;

function isClientOf(host: string, { totals: { subject } }: Growth): boolean {
  return subject.side === "client" && subject.host === host;
}

/** What is remembered of a growth: a shield's first attempts as attempts at its canary, its rescues not at all. */
function pastOf(part: Growth): Growth | undefined {
  const { subject } = part.totals;
  if (subject.side !== "client" || subject.shield === undefined) return part;
  if (subject.shield.kind !== "first") return undefined;
  const direct: Subject = { side: "client", host: subject.host };
  return { ...part, key: keyOf(direct), totals: { ...part.totals, subject: direct } };
}

/** The window of a run that a proxy's growth tells of; undefined where it is other traffic, or the canary's callers'. */
function windowOf(run: Run, { totals }: Growth, told: Told): Window | undefined {
  const { subject } = totals;
  if (subject.side === "client") {
    if (subject.host !== run.primary.host || subject.shield !== undefined) return undefined;
    return windowFrom(told, "primary", "client", totals, 0);
  }
  if (subject.namespace !== run.namespace) return undefined;
  if (subject.workload === run.canary.workload) return windowFrom(told, "canary", "destination", totals);
  if (subject.workload === run.primary.workload) return windowFrom(told, "primary", "destination", totals);
  return undefined;
}

/** What a caller's proxy saw of the canary: requests straight to it, and the first attempts of shielded ones. */
function canaryWindow(run: Run, counts: ProxyCounts, told: Told): Window {
  const { host } = run.canary;
  const direct = counts.ofHost(host);
  const shield = counts.ofShield(host);
  const sum = sumShield(run, shield.counts);
  if (sum === undefined && direct !== undefined) return windowFrom(told, "canary", "client", direct, 0);
  const buckets = direct?.buckets ?? bucketBounds.map(() => 0).concat(0);
  const seen = {
    requests: (direct?.requests ?? 0) + (sum?.requests ?? 0),
    failed: (direct?.failed ?? 0) + (sum?.failed ?? 0),
    buckets: buckets.map((count, bucket) => count + (sum?.buckets[bucket] ?? 0)),
    connections: direct?.connections ?? 0,
  };
  const window = windowFrom(told, "canary", "client", seen, 0);
  if (sum === undefined) return window;
  return { ...window, rescued: sum.rescued, notRescued: (direct?.failed ?? 0) + shield.lost };
}

/**
 * A caller does not know which half of the pods answered: its windows are of the first.
 *
 * Named one by one, as every report makes some: a spread object takes V8 a property at a time.
 */
function windowFrom(
  { source, seq, at, half }: Told,
  arm: Window["arm"],
  side: Window["side"],
  { requests, failed, buckets, connections }: Pick<Window, "requests" | "failed" | "buckets" | "connections">,
  onlyHalf: Window["half"] = half,
): Window {
  return {
    kind: "window",
    source,
    seq,
    at,
    half: onlyHalf,
    arm,
    side,
    requests,
    failed,
    buckets: buckets.slice(),
    connections,
  };
}
