import type { Cut, Run, Signal, Signals, Window } from "../../api/signals.ts";
import type { AttemptEntry } from "../../envoy/readers/access-log.ts";
import type { MetricsExport } from "../../envoy/readers/otlp-metrics.ts";
import type { Clock } from "../../lib/clock.ts";
import { armOfHost, attemptOf, hostOfCluster } from "./attempt.ts";
import { type Counts, countsOf, keyOf, type ReportingWorkload, type Subject } from "./counts.ts";
import { halfOf } from "./half.ts";
import { History } from "./history.ts";
import { type Growth, ProxyCounts } from "./proxy.ts";
import { SignalQueue } from "./queue.ts";

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

/**
 * The mesh's `Signals`: what this replica's proxies report, sorted by run.
 *
 * A report says since when its proxy counts: a restarted proxy is so told from one that reconnects.
 */
export function createSignals(options: {
  readonly replica: string;
  readonly clock: Clock;
  readonly cuts: Cuts;
}): { readonly signals: Signals; readonly collector: Collector } {
  const { replica, clock, cuts } = options;
  const proxies = new Map<string, ProxyCounts>();
  const lastSeen = new Map<string, number>();
  const history = new History();
  const watchers = new Set<Watcher>();

  /** Old processes of a proxy and proxies that are gone for ten minutes are forgotten. */
  const forget = (now: number) => {
    for (const [proxy, at] of lastSeen) {
      if (now - at < 600_000) continue;
      lastSeen.delete(proxy);
      proxies.delete(proxy);
    }
  };

  const countsFor = (proxy: string, start: number): ProxyCounts => {
    const known = proxies.get(proxy);
    if (known?.source.start === start) return known;
    const fresh = new ProxyCounts({ replica, proxy, start });
    proxies.set(proxy, fresh);
    return fresh;
  };

  const collector: Collector = {
    takeAttempts(proxy, entries) {
      const now = clock.now();
      lastSeen.set(proxy, now);
      const source = proxies.get(proxy)?.source ?? { replica, proxy, start: now };
      for (const entry of entries) {
        const host = hostOfCluster(entry.upstreamCluster);
        if (host === undefined) continue;
        for (const { run, queue } of watchers) {
          const arm = armOfHost(run, host);
          const attempt = arm && attemptOf(entry, arm, source);
          if (attempt) queue.push(attempt);
        }
      }
    },

    takeReport(proxy, { at, start, samples }, self) {
      const now = clock.now();
      forget(now);
      lastSeen.set(proxy, now);
      if (at === 0) return;
      const counts: Map<string, Counts> = countsOf(samples, self);
      const proxyCounts = countsFor(proxy, start > 0 ? start : at);
      const { seq, growth, gap } = proxyCounts.take(at, counts);
      const half = halfOf(proxy);
      for (const part of growth) {
        history.add(part.key, part.totals.subject.side === "client" ? 0 : half, at, part);
      }
      for (const { run, queue } of watchers) {
        if (gap) queue.push(gap);
        for (const part of growth) {
          const window = windowOf(run, part, { source: proxyCounts.source, seq, at, half });
          if (window) queue.push(window);
        }
      }
    },
  };

  const signals: Signals = {
    watch(run, signal) {
      const watcher: Watcher = { run, queue: new SignalQueue() };
      watchers.add(watcher);
      const stop = () => {
        watchers.delete(watcher);
        watcher.queue.close();
      };
      signal?.addEventListener("abort", stop, { once: true });
      if (signal?.aborted) stop();
      return until(watcher.queue.drain(), stop);
    },

    history(run, seconds) {
      const from = clock.now() - seconds * 1000;
      const windows: Window[] = [];
      for (const arm of ["primary", "canary"] as const) {
        for (const subject of subjectsOf(run, arm)) {
          for (const half of [0, 1] as const) {
            windows.push(...history.windows(keyOf(subject), half, arm, subject.side, from, replica));
          }
        }
      }
      return Promise.resolve(windows.sort((a, b) => a.at - b.at));
    },

    cut: (cut) => Promise.resolve(cuts.set(cut)),

    release(id) {
      cuts.release(id);
      return Promise.resolve();
    },

    health: () => [{ replica, proxies: proxies.size, lastSeen: Math.max(0, ...lastSeen.values()) }],
  };
  return { signals, collector };
}

/** Ends `source` with the consumer, whichever way it leaves. */
async function* until(source: AsyncGenerator<Signal>, stop: () => void): AsyncGenerator<Signal> {
  try {
    yield* source;
  } finally {
    stop();
  }
}

function subjectsOf(run: Run, arm: "primary" | "canary"): Subject[] {
  const { host, workload } = run[arm];
  return [
    { side: "client", host },
    { side: "destination", namespace: run.namespace, workload },
  ];
}

/** The window of a run that a proxy's growth tells of; undefined where it is other traffic. */
function windowOf(
  run: Run,
  { totals }: Growth,
  { source, seq, at, half }: Pick<Window, "source" | "seq" | "at" | "half">,
): Window | undefined {
  const { subject } = totals;
  const arm =
    subject.side === "client"
      ? armOfHost(run, subject.host)
      : subject.namespace !== run.namespace
        ? undefined
        : subject.workload === run.canary.workload
          ? "canary"
          : subject.workload === run.primary.workload
            ? "primary"
            : undefined;
  if (arm === undefined) return undefined;
  return {
    kind: "window",
    source,
    seq,
    at,
    arm,
    side: subject.side,
    // A caller does not know which half of the pods answered.
    half: subject.side === "client" ? 0 : half,
    requests: totals.requests,
    failed: totals.failed,
    buckets: [...totals.buckets],
    connections: totals.connections,
  };
}
