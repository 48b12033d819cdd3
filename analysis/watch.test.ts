import { expect, test, vi } from "vitest";
import type { Attempt, Run, Signal, Signals, Window } from "../api/signals.ts";
import { bucketBounds } from "../api/signals.ts";
import type { Clock } from "../lib/clock.ts";
import { silent } from "../lib/log.ts";
import type { Harm, RunSettings } from "./analyst.ts";
import type { Metric } from "./checks/metric.ts";
import { sequentialDefaults, sequentialJudge } from "./judge/settings.ts";
import { settingsOf as settingsFrom } from "./testing/recorded-run.ts";
import { createAnalyst } from "./watch.ts";

const run: Run = {
  route: { kind: "VirtualService", namespace: "demo", name: "shop" },
  canaryUid: "uid",
  namespace: "demo",
  run: "run-1",
  revision: "r1",
  primary: { host: "shop-primary.demo.svc.cluster.local", workload: "shop-primary" },
  canary: { host: "shop-canary.demo.svc.cluster.local", workload: "shop" },
};

const settingsOf = (analysis: Readonly<Record<string, unknown>> = {}): RunSettings =>
  settingsFrom({ interval: "10s", ...analysis });

/** Time that moves when the test says so. */
function createFakeClock(start: number): Clock & { advance(ms: number): Promise<void> } {
  let now = start;
  let timers: { at: number; run: () => void }[] = [];
  return {
    now: () => now,
    monotonic: () => now - start,
    after(delay, callback) {
      const timer = { at: now + delay, run: callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((one) => one !== timer);
      };
    },
    async advance(ms) {
      const end = now + ms;
      for (;;) {
        await settle();
        const next = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        timers = timers.filter((one) => one !== next);
        now = Math.max(now, next.at);
        next.run();
      }
      now = end;
      await settle();
    },
  };
}

/** Lets promises that are ready run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Signals that the test sends by hand. */
function createFakeSignals(history: readonly Window[] = []) {
  let send: (signal: Signal | "end" | "break") => void = () => undefined;
  let watches = 0;
  const signals: Signals = {
    async *watch(_run, abort) {
      watches += 1;
      const queue: (Signal | "end" | "break")[] = [];
      let wake = (): void => undefined;
      send = (signal) => {
        queue.push(signal);
        wake();
      };
      abort?.addEventListener("abort", () => wake());
      while (abort?.aborted !== true) {
        const signal = queue.shift();
        if (signal === "end") return;
        if (signal === "break") throw new Error("stream broke");
        if (signal !== undefined) yield signal;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    },
    history: () => Promise.resolve(history),
    cut: () => Promise.resolve({ held: 0, of: 0 }),
    release: () => Promise.resolve(),
    health: () => [],
  };
  return { signals, send: (signal: Signal | "end" | "break") => send(signal), watches: () => watches };
}

const epoch = 1_760_000_000_000;
const source = { replica: "r", proxy: "p", start: epoch - 3_600_000 };
const attempt = (at: number, failed: boolean, arm: Attempt["arm"] = "canary"): Attempt => ({
  kind: "attempt",
  source,
  arm,
  at,
  failed,
  status: failed ? 500 : 200,
  flags: [],
  connection: `c${at % 3}`,
});
const window = (
  at: number,
  arm: Attempt["arm"],
  requests: number,
  failed: number,
  side: Window["side"] = "client",
  half: 0 | 1 = 0,
): Window => ({
  kind: "window",
  source,
  seq: at,
  at,
  arm,
  side,
  half,
  requests,
  failed,
  connections: 2,
  buckets: [...bucketBounds, 0].map((_, bucket) => (bucketBounds[bucket] === 50 ? requests : 0)),
});

/** One second of traffic on all sides, as cumulative windows. */
function second(at: number, seconds: number, canaryFailed: number): Window[] {
  return (["client", "destination"] as const).flatMap((side) => [
    window(at, "canary", seconds * 50, canaryFailed, side),
    window(at, "primary", seconds * 450, 0, side),
    ...(side === "destination" ? [window(at, "primary", seconds * 440, 0, side, 1)] : []),
  ]);
}

test("a total outage is told at once, between two polls, and only once", async () => {
  const clock = createFakeClock(epoch);
  const { signals, send } = createFakeSignals();
  const analysis = createAnalyst({ signals, clock, logger: silent }).start(run, settingsOf());
  const harms: Harm[] = [];
  analysis.onHarm((harm) => harms.push(harm));
  await settle();
  analysis.setWeight(10, epoch);
  for (let at = epoch; at <= epoch + 700; at += 20) send(attempt(at, true));
  await settle();
  expect(harms).toEqual([expect.objectContaining({ by: "trip-wire", at: epoch + 500 })]);
  const late: Harm[] = [];
  analysis.onHarm((harm) => late.push(harm));
  await settle();
  expect(late).toEqual(harms);
  analysis.close();
});

test("the guard's harm test ends what fails half of its requests within seconds, and survives handlers that throw", async () => {
  const clock = createFakeClock(epoch);
  const { signals, send } = createFakeSignals();
  const analysis = createAnalyst({ signals, clock, logger: silent }).start(run, settingsOf());
  const harms: Harm[] = [];
  analysis.onHarm(() => {
    throw new Error("broken handler");
  });
  analysis.onHarm((harm) => harms.push(harm));
  analysis.onJudgement(() => {
    throw new Error("broken handler");
  });
  await settle();
  analysis.setWeight(10, epoch);
  for (let n = 1; n <= 10 && harms.length === 0; n++) {
    for (const one of second(epoch + n * 1000 - 100, n, (n - 1) * 25)) send(one);
    await clock.advance(1000);
  }
  expect(harms[0]).toMatchObject({
    by: "harm",
    reason: expect.stringMatching(/^errors .* % against 0 %: odds/),
  });
  expect(analysis.judgement()?.verdict).toBe("rollback");
  expect((harms[0]?.at ?? 0) - epoch).toBeLessThanOrEqual(6000);
  analysis.close();
});

test("a healthy run is judged each second and its checks pass from signals alone", async () => {
  const clock = createFakeClock(epoch);
  const { signals, send } = createFakeSignals();
  const analysis = createAnalyst({ signals, clock, logger: silent }).start(run, settingsOf());
  const judged = vi.fn();
  analysis.onJudgement(judged);
  await settle();
  analysis.setWeight(10, epoch);
  for (let n = 1; n <= 20; n++) {
    for (const one of second(epoch + n * 1000 - 100, n, 0)) send(one);
    await clock.advance(1000);
  }
  expect(judged.mock.calls.length).toBeGreaterThanOrEqual(20);
  expect(analysis.judgement()).toMatchObject({ verdict: "none", mayStep: true });
  const checks = await analysis.checks(clock.now());
  expect(checks.map(({ name, kind, value }) => [name, kind, value])).toEqual([
    ["request-success-rate", "passed", 100],
    ["request-duration", "passed", 49],
  ]);
  analysis.close();
});

test("streams that end or break are watched again", async () => {
  const clock = createFakeClock(epoch);
  const { signals, send, watches } = createFakeSignals();
  const analysis = createAnalyst({ signals, clock, logger: silent }).start(run, settingsOf());
  await settle();
  send("end");
  await clock.advance(3000);
  expect(watches()).toBe(2);
  send("break");
  await clock.advance(3000);
  expect(watches()).toBe(3);
  analysis.setWeight(10, clock.now());
  const harms: Harm[] = [];
  analysis.onHarm((harm) => harms.push(harm));
  for (let at = clock.now(); at <= clock.now() + 700; at += 20) send(attempt(at, true));
  await settle();
  expect(harms).toHaveLength(1);
  analysis.close();
});

test("after a restart the gap counts as one longer poll: what failed meanwhile is not forgotten", async () => {
  const settings = settingsOf();
  const clock = createFakeClock(epoch);
  const before = createFakeSignals();
  const first = createAnalyst({ signals: before.signals, clock, logger: silent }).start(run, settings);
  await settle();
  first.setWeight(10, epoch);
  for (let n = 1; n <= 5; n++) {
    for (const one of second(epoch + n * 1000 - 100, n, 0)) before.send(one);
    await clock.advance(1000);
  }
  const stored = first.stored();
  expect(stored.length).toBeLessThan(1000);
  const harmBefore = first.judgement()?.harm ?? 0;
  first.close();
  await clock.advance(4000);

  const after = createFakeSignals();
  const again = createAnalyst({ signals: after.signals, clock, logger: silent }).start(run, settings, stored);
  await settle();
  for (const one of second(epoch + 9500, 9, 100)) after.send(one);
  await clock.advance(1000);
  expect(again.judgement()?.harm).toBeGreaterThan(harmBefore);
  expect(again.judgement()?.verdict).not.toBe("rollback");
  again.close();
});

test("a history teaches the judge the primary's own dispersion before the run", async () => {
  const past = Array.from({ length: 60 }, (_, n) => n).flatMap((n) => {
    const at = epoch - 60_000 + n * 1000;
    const incidents = Math.floor(n / 2);
    return [
      {
        ...window(at, "primary", (n + 1) * 440, incidents * 30, "destination", 0),
        source: { ...source, proxy: "*", start: epoch - 61_000 },
      },
      {
        ...window(at, "primary", (n + 1) * 440, 0, "destination", 1),
        source: { ...source, proxy: "*", start: epoch - 61_000 },
      },
    ];
  });
  const clock = createFakeClock(epoch);
  const { signals } = createFakeSignals(past);
  const analysis = createAnalyst({ signals, clock, logger: silent }).start(
    run,
    settingsOf({ sequential: {} }),
  );
  await clock.advance(1000);
  const learnt = JSON.parse(analysis.stored()) as {
    judge: { t: [unknown, unknown, unknown, number, number][] };
  };
  const [, , , squares, bad] = learnt.judge.t[0] ?? [0, 0, 0, 0, 1];
  expect(squares / bad).toBeGreaterThan(10);
  analysis.close();
});

test("unreadable stored state begins anew; a closed analysis says nothing more", async () => {
  const clock = createFakeClock(epoch);
  const { signals, send } = createFakeSignals();
  const analyst = createAnalyst({ signals, clock, logger: silent });
  const analysis = analyst.start(run, settingsOf(), "{not json");
  const harms: Harm[] = [];
  analysis.onHarm((harm) => harms.push(harm));
  await clock.advance(2000);
  expect(analysis.judgement()?.verdict).toBe("none");
  analysis.setWeight(10, clock.now());
  await analyst.close();
  for (let at = clock.now(); at <= clock.now() + 700; at += 20) send(attempt(at, true));
  await settle();
  expect(harms).toEqual([]);
});

test("guard off judges nothing: checks alone decide", async () => {
  const clock = createFakeClock(epoch);
  const { signals, send } = createFakeSignals();
  const analysis = createAnalyst({ signals, clock, logger: silent }).start(run, settingsOf({ guard: "off" }));
  const harms: Harm[] = [];
  analysis.onHarm((harm) => harms.push(harm));
  await settle();
  analysis.setWeight(10, epoch);
  for (let at = epoch; at <= epoch + 700; at += 20) send(attempt(at, true));
  await clock.advance(2000);
  expect(harms).toEqual([]);
  expect(analysis.judgement()).toBeUndefined();
  analysis.close();
});

test("metrics of providers are asked for both arms while the canary has traffic, and judged", async () => {
  const clock = createFakeClock(epoch);
  const { signals } = createFakeSignals();
  let asked = 0;
  const queue = (value: number): Extract<Metric, { kind: "query" }> => ({
    kind: "query",
    name: "queue",
    range: {},
    interval: 60_000,
    query: "q",
    whole: false,
    // Each answer differs, as each scrape does.
    provider: {
      name: "test",
      query: () => Promise.resolve({ kind: "value", value: value + asked++ / 1000 }),
    },
  });
  const test = { kind: "sign", metric: "queue", worse: "higher", tolerance: 0.1 } as const;
  const settings: RunSettings = {
    ...settingsOf(),
    judge: sequentialJudge(
      { bounds: bucketBounds, interval: 10_000, steps: [10] },
      { ...sequentialDefaults, series: [test] },
    ),
    pairs: [
      {
        kind: "values",
        name: "queue",
        canary: queue(20),
        primary: queue(10),
        worse: "higher",
        relative: 10,
        test,
      },
    ],
  };
  const analysis = createAnalyst({ signals, clock, logger: silent }).start(run, settings);
  await clock.advance(31_000);
  expect(analysis.judgement()?.tests.at(-1)).toMatchObject({ paired: true, harm: expect.closeTo(-0, 0) });
  analysis.setWeight(10, clock.now());
  await clock.advance(61_000);
  expect(analysis.judgement()?.tests.at(-1)?.harm).toBeGreaterThan(1);
  const before = asked;
  analysis.close();
  await clock.advance(31_000);
  expect(asked).toBe(before);
});

test("users whom a shield rescued are told as they come, and in all some seconds after the run", async () => {
  const clock = createFakeClock(epoch);
  const { signals, send, watches } = createFakeSignals();
  const analyst = createAnalyst({ signals, clock, logger: silent });
  const analysis = analyst.start(run, settingsOf({ shield: {} }));
  const told: (readonly [number, boolean])[] = [];
  analysis.onRescues(({ rescued }, last) => told.push([rescued, last]));
  await settle();
  const seen = (at: number, rescued: number): Window => ({
    ...window(at, "canary", rescued, rescued),
    ...{ source: { ...source, start: epoch }, rescued, notRescued: 0 },
  });
  analysis.setWeight(10, epoch);
  send(seen(epoch + 500, 20));
  await clock.advance(1100);
  await clock.advance(1000);
  analysis.close({ outcome: "rolled back" });
  // What was under way when the weight fell to 0 is reported after the run.
  send(seen(epoch + 2500, 25));
  await clock.advance(1000);
  expect(told).toEqual([[20, false]]);
  await clock.advance(3000);
  expect(told).toEqual([
    [20, false],
    [25, true],
  ]);
  await clock.advance(10_000);
  expect(watches()).toBe(1);
  expect(told).toHaveLength(2);
});

test("a process that ends does not wait for a shield's last counts", async () => {
  const clock = createFakeClock(epoch);
  const { signals } = createFakeSignals();
  const analyst = createAnalyst({ signals, clock, logger: silent });
  const last: boolean[] = [];
  for (const analysis of [1, 2].map(() => analyst.start(run, settingsOf({ shield: {} }))))
    analysis.onRescues((_, isLast) => last.push(isLast));
  await settle();
  await analyst.close();
  expect(last).toEqual([true, true]);
});
