/** What proxies report, through the collector, to windows, history and series. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { bucketBounds, type Gap, type Window } from "../../api/signals.ts";
import type { MetricsExport, Sample } from "../../envoy/readers/otlp-metrics.ts";
import type { Clock } from "../../lib/clock.ts";
import { clusterStatistics, destinationMetrics } from "../build/bootstrap-telemetry.ts";
import { run } from "../testbed/run.ts";
import { createSignals } from "./signals.ts";

const canarySelf = { namespace: "demo", workload: "shop" };
const epoch = 1_760_000_000_000;

/** A clock whose wall can be set, as an operator or NTP does, while its monotonic time goes on. */
function settableClock(): Clock & { pass(milliseconds: number): void; set(by: number): void } {
  let passed = 5_000_000;
  let wall = epoch - passed;
  return {
    now: () => wall + passed,
    monotonic: () => passed,
    after: () => () => undefined,
    pass(milliseconds) {
      passed += milliseconds;
    },
    set(by) {
      wall += by;
    },
  };
}

interface Said {
  readonly requests: number;
  readonly failed: number;
  /** Slower than 5 ms since the report before. */
  readonly slow?: number;
}

function report(at: number, start: number, { requests, failed, slow = 0 }: Said): MetricsExport {
  const counter = (name: string, total: number): Sample => ({ name, value: { kind: "counter", total } });
  const buckets = Array.from({ length: bucketBounds.length + 1 }, (_, index) => (index === 4 ? slow : 0));
  const own = (statistic: string) => `cluster.outbound|80||${run.canary.host};.${statistic}`;
  return {
    at,
    start,
    samples: [
      counter(own(clusterStatistics.requests), requests),
      counter(own(clusterStatistics.failed), failed),
      counter(destinationMetrics.status2xx, requests - failed),
      counter(destinationMetrics.status5xx, failed),
      { name: destinationMetrics.time, value: { kind: "histogram", buckets } },
    ],
  };
}

/** Signals with one watcher that keeps all that it hears. */
function open(clock = settableClock()) {
  const { signals, collector, series } = createSignals({
    replica: "r",
    clock,
    cuts: { set: () => ({ held: 0, of: 0 }), release: () => undefined },
  });
  const heard: (Window | Gap)[] = [];
  const stop = new AbortController();
  const done = (async () => {
    for await (const signal of signals.watch(run, stop.signal))
      if (signal.kind === "window" || signal.kind === "gap") heard.push(signal);
  })();
  const all = async () => {
    stop.abort();
    await done;
    return heard;
  };
  const say = (proxy: string, said: Said, { at = clock.now(), start = epoch - 60_000 } = {}) =>
    collector.takeReport(proxy, report(at, start, said), canarySelf);
  const total = (code: string, seconds = 300): number =>
    series
      .select(
        "istio_requests_total",
        (labels) => labels.get("reporter") === "destination" && labels.get("response_code") === code,
        clock.now() - seconds * 1000,
        clock.now(),
      )
      .reduce((sum, { points }) => sum + (points.at(-1)?.[1] ?? 0), 0);
  const past = async (): Promise<number> =>
    (await signals.history(run, 300))
      .filter(({ arm, side }) => arm === "canary" && side === "client")
      .reduce((_, { requests }) => requests, 0);
  return { clock, collector, say, all, total, past, signals, series };
}

const windowsOf = (heard: readonly (Window | Gap)[], side: Window["side"]): Window[] =>
  heard.filter((signal) => signal.kind === "window").filter((window) => window.side === side);

test("proxies add up, whatever their order, and what they counted before we listened is not growth", async () => {
  const { clock, say, total, past } = open();
  for (let second = 0; second < 10; second++) {
    for (const [proxy, rate] of [
      ["a", 10],
      ["b", 3],
      ["c", 1],
    ] as const)
      say(proxy, { requests: 1000 + rate * second, failed: second });
    clock.pass(1000);
  }
  clock.pass(2000);
  expect(await past()).toBe(9 * 14);
  expect(total("2xx")).toBe(9 * 14 - 3 * 9);
  expect(total("5xx")).toBe(27);
});

test("a restarted proxy is another source that counts from 0, and nothing is lost or counted twice", async () => {
  const { clock, say, all, past } = open();
  say("a", { requests: 500, failed: 0 });
  clock.pass(1000);
  say("a", { requests: 520, failed: 1 });
  clock.pass(1000);
  const restarted = clock.now() - 500;
  say("a", { requests: 7, failed: 7 }, { start: restarted });
  clock.pass(1000);
  say("a", { requests: 20, failed: 8 }, { start: restarted });
  expect(await past()).toBe(20 + 13);
  const starts = new Set(windowsOf(await all(), "client").map(({ source }) => source.start));
  expect([...starts]).toEqual([epoch - 60_000, restarted]);
});

test("a counter that falls without a restart (a cluster that came again) counts from 0", async () => {
  const { clock, say, past } = open();
  for (const requests of [100, 150, 5, 25]) {
    say("a", { requests, failed: 0 });
    clock.pass(1000);
  }
  expect(await past()).toBe(50 + 5 + 20);
});

test("a lost report is a gap for latencies, and the next makes good its counts", async () => {
  const { clock, say, all, past } = open();
  say("a", { requests: 0, failed: 0 });
  clock.pass(1000);
  say("a", { requests: 10, failed: 0 });
  clock.pass(3000);
  say("a", { requests: 40, failed: 2 });
  const heard = await all();
  expect(heard.filter(({ kind }) => kind === "gap")).toMatchObject([
    { from: epoch + 1000, to: epoch + 4000 },
  ]);
  expect(windowsOf(heard, "client").at(-1)).toMatchObject({ requests: 40, failed: 2 });
  expect(await past()).toBe(40);
});

test("repeated and late reports change nothing", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(9), fc.nat(3)), { maxLength: 20 }), async (repeats) => {
      const disturbed = open();
      const plain = open();
      for (let second = 0; second < 10; second++) {
        const said = { requests: 100 + second * 7, failed: second, slow: 3 };
        for (const bed of [plain, disturbed]) bed.say("a", said);
        for (const [after, back] of repeats.filter(([after]) => after === second)) {
          const old = Math.max(0, after - back);
          const again = { requests: 100 + old * 7, failed: old, slow: 3 };
          disturbed.say("a", again, { at: disturbed.clock.now() - (after - old) * 1000 });
        }
        for (const bed of [plain, disturbed]) bed.clock.pass(1000);
      }
      expect(await disturbed.past()).toBe(await plain.past());
      expect(await disturbed.all()).toEqual(await plain.all());
    }),
    { numRuns: 30 },
  );
});

test.for([
  ["hours ahead", 7_200_000],
  ["hours behind", -7_200_000],
])("a proxy whose clock is %s is read by ours", async ([, skew]) => {
  const { clock, say, all, total } = open();
  for (let second = 0; second < 5; second++) {
    const at = clock.now() + Number(skew);
    say("a", { requests: second * 10, failed: 0 }, { at, start: epoch - 30_000 + Number(skew) });
    clock.pass(1000);
  }
  clock.pass(1000);
  expect(total("2xx")).toBe(40);
  const windows = windowsOf(await all(), "client");
  expect(windows.map(({ at }) => at - epoch)).toEqual([0, 1000, 2000, 3000, 4000]);
  expect(new Set(windows.map(({ source }) => source.start))).toEqual(new Set([epoch - 30_000]));
});

test("a proxy's clock that is set back or forward costs a gap, and no counts", async () => {
  const { clock, say, all, past } = open();
  let skew = 0;
  for (let second = 0; second < 9; second++) {
    if (second === 3) skew = -3_600_000;
    if (second === 6) skew = 3_600_000;
    say("a", { requests: second * 10, failed: 0 }, { at: clock.now() + skew });
    clock.pass(1000);
  }
  expect(await past()).toBe(80);
  const heard = await all();
  expect(heard.filter(({ kind }) => kind === "gap")).toHaveLength(2);
  expect(windowsOf(heard, "client")).toHaveLength(9);
});

test("our own clock that is set neither loses nor moves the past", async () => {
  const { clock, say, total, past } = open();
  for (let second = 0; second < 12; second++) {
    if (second === 4) clock.set(-3_600_000);
    if (second === 8) clock.set(7_200_000);
    say("a", { requests: second * 10, failed: 0 }, { at: epoch + second * 1000 });
    clock.pass(1000);
  }
  clock.pass(2000);
  expect(await past()).toBe(110);
  expect(total("2xx")).toBe(110);
});

test("a report without a time is harmless", async () => {
  const { clock, say, past } = open();
  say("a", { requests: 10, failed: 0 });
  clock.pass(1000);
  say("a", { requests: 20, failed: 0 }, { at: 0 });
  say("a", { requests: 30, failed: 0 });
  clock.pass(1000);
  say("a", { requests: 35, failed: 0 });
  expect(await past()).toBe(25);
});

test("memory is bounded by the services in use, not by proxies or time", () => {
  const { clock, say, series, signals } = open();
  for (let second = 0; second < 1500; second++) {
    for (const proxy of ["a", "b"]) say(proxy, { requests: second * 1000, failed: second, slow: 500 });
    clock.pass(1000);
  }
  const [first] = series.select("istio_requests_total", () => true, 0, clock.now());
  expect(first?.points.length).toBeLessThanOrEqual(series.kept / 1000 + 1);
  expect(signals.health()[0]?.proxies).toBe(2);
  // Silent for long: proxies and services alike are forgotten.
  clock.pass(3_600_000);
  say("c", { requests: 1, failed: 0 });
  expect(signals.health()[0]?.proxies).toBe(1);
  expect(series.select("istio_requests_total", () => true, 0, clock.now())).toEqual([]);
});

test("statuses are told apart, and what cannot be told is refused instead of guessed", () => {
  const { clock, collector, series } = open();
  const answers = (total: number): MetricsExport => ({
    at: clock.now(),
    start: epoch - 60_000,
    samples: [
      ["destination.200", 90 * total],
      ["destination.404", 6 * total],
      ["destination.4xx", 3 * total],
      ["destination.503", 1 * total],
    ].map(([name, count]) => ({ name: String(name), value: { kind: "counter", total: Number(count) } })),
  });
  for (let second = 0; second < 5; second++) {
    collector.takeReport("a", answers(second), canarySelf);
    clock.pass(1000);
  }
  clock.pass(1000);
  const sum = (matches: (code: string) => boolean, asked = ["response_code"]): number =>
    series
      .select(
        "istio_requests_total",
        (labels) => labels.get("reporter") === "destination" && matches(labels.get("response_code") ?? ""),
        0,
        clock.now(),
        asked,
      )
      .reduce((all, { points }) => all + (points.at(-1)?.[1] ?? 0), 0);
  expect(sum((code) => code === "404")).toBe(24);
  expect(sum((code) => code !== "404")).toBe(376);
  expect(sum((code) => code.startsWith("4"))).toBe(36);
  expect(sum((code) => !/^5.*$/.test(code))).toBe(396);
  expect(() => sum((code) => code !== "418")).toThrow(
    "the control plane does not tell response_code 418 from others of 4xx: ask a prometheus that scrapes the proxies",
  );
  expect(() => sum(() => true, ["reporter", "source_workload"])).toThrow(
    "label `source_workload` is not kept by the control plane",
  );
});
