/** Several replicas of the mesh as the controller sees them: as one. */
import { expect, test } from "vitest";
import type { Cut, Run, Signal, Window } from "../../../api/signals.ts";
import type { Clock } from "../../../lib/clock.ts";
import { silent } from "../../../lib/log.ts";
import { SignalQueue } from "../queue.ts";
import type { RemoteMesh } from "./connect.ts";
import { connectReplicas } from "./replicas.ts";

const run: Run = {
  route: { kind: "VirtualService", namespace: "demo", name: "shop" },
  ...{ canaryUid: "uid", namespace: "demo", run: "1", revision: "r" },
  primary: { host: "shop-primary", workload: "shop-primary" },
  canary: { host: "shop-canary", workload: "shop" },
};
const cut: Cut = {
  ...{ kind: "cut", id: "c", canaryUid: "uid", run: "1", revision: "r", route: run.route, at: 1 },
  ...{ canaryDestinations: ["shop-canary"], primaryDestination: "shop-primary", reason: "" },
};
const route = { kind: "VirtualService", namespace: "demo", name: "shop" };

const window = (replica: string, at: number): Window => ({
  ...{
    kind: "window",
    source: { replica, proxy: "p", start: 0 },
    seq: at,
    at,
    arm: "canary",
    side: "client",
  },
  ...{ half: 0, requests: at, failed: 0, buckets: [], connections: 1 },
});

/** A replica that answers for `proxies`, and hears what the test lets it. */
function replica(name: string, proxies: number) {
  const queues = new Set<SignalQueue>();
  const state = { closed: false, away: false, cuts: 0 };
  const answer = <T>(value: T): Promise<T> =>
    state.away ? Promise.reject(new Error(`${name} is away`)) : Promise.resolve(value);
  const mesh: RemoteMesh = {
    signals: {
      watch(_, signal) {
        const queue = new SignalQueue(() => queues.delete(queue));
        queues.add(queue);
        signal?.addEventListener("abort", () => queue.close());
        return queue;
      },
      history: () => answer([window(name, 5), window(name, 7)]),
      cut() {
        state.cuts += 1;
        return answer({ held: proxies, of: proxies });
      },
      release: () => answer(undefined),
      health: () => [{ replica: name, proxies, lastSeen: 0 }],
    },
    acknowledged: () => ({ held: state.away ? 0 : proxies, of: state.away ? 0 : proxies }),
    close() {
      state.closed = true;
      for (const queue of [...queues]) queue.close();
    },
  };
  const say = (signal: Signal): void => {
    for (const queue of queues) queue.push(signal);
  };
  return { mesh, state, queues, say };
}

function manualClock(): Clock & { pass(milliseconds: number): Promise<void> } {
  let now = 0;
  let timers: { at: number; run: () => void }[] = [];
  return {
    now: () => now,
    monotonic: () => now,
    after(delay, callback) {
      const timer = { at: now + delay, run: callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((one) => one !== timer);
      };
    },
    async pass(milliseconds) {
      for (const end = now + milliseconds; now < end; ) {
        now = Math.min(end, now + 1000);
        const due = timers.filter(({ at }) => at <= now);
        timers = timers.filter(({ at }) => at > now);
        for (const timer of due) timer.run();
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

function open(named: string[]) {
  const replicas = new Map([
    ["10.0.0.1", replica("a", 3)],
    ["10.0.0.2", replica("b", 4)],
  ]);
  const clock = manualClock();
  const connected: string[] = [];
  const mesh = connectReplicas({
    ...{ address: "fairlead-mesh.home.svc:15012", serverName: "", rootPem: "", token: () => "", clock },
    logger: silent,
    resolve: () => (named.includes("?") ? Promise.reject(new Error("no dns")) : Promise.resolve([...named])),
    connect({ address }) {
      connected.push(address);
      const found = replicas.get(address.replace(":15012", ""));
      if (found === undefined) throw new Error(address);
      return found.mesh;
    },
  });
  const of = (ip: string) => {
    const found = replicas.get(ip);
    if (found === undefined) throw new Error(ip);
    return found;
  };
  return { mesh, clock, connected, a: of("10.0.0.1"), b: of("10.0.0.2") };
}

test("signals are merged, counts added, cuts given to all", async () => {
  const { mesh, clock, connected, a, b } = open(["10.0.0.1", "10.0.0.2"]);
  await clock.pass(1000);
  expect(connected).toEqual(["10.0.0.1:15012", "10.0.0.2:15012"]);
  const heard = mesh.signals.watch(run)[Symbol.asyncIterator]();
  a.say(window("a", 1));
  b.say(window("b", 2));
  expect([(await heard.next()).value, (await heard.next()).value]).toMatchObject([{ at: 1 }, { at: 2 }]);
  expect(mesh.acknowledged(route)).toEqual({ held: 7, of: 7 });
  expect(await mesh.signals.cut(cut)).toEqual({ held: 7, of: 7 });
  expect((await mesh.signals.history(run, 10)).map(({ at }) => at)).toEqual([5, 5, 7, 7]);
  expect(mesh.signals.health().map(({ proxies }) => proxies)).toEqual([3, 4]);
  mesh.close();
  expect([a.state.closed, b.state.closed]).toEqual([true, true]);
  expect((await heard.next()).done).toBe(true);
});

test("a replica that is away stops nothing; where none answers, that is said", async () => {
  const { mesh, clock, a, b } = open(["10.0.0.1", "10.0.0.2"]);
  await expect(mesh.signals.cut(cut)).rejects.toThrow("no replica of the mesh is known");
  await clock.pass(1000);
  b.state.away = true;
  expect(await mesh.signals.cut(cut)).toEqual({ held: 3, of: 3 });
  expect(mesh.acknowledged(route)).toEqual({ held: 3, of: 3 });
  expect((await mesh.signals.history(run, 10)).length).toBe(2);
  a.state.away = true;
  await expect(mesh.signals.cut(cut)).rejects.toThrow("a is away");
  mesh.close();
});

test("one that comes is asked for what is watched already; one that has gone is let go after a while", async () => {
  const named = ["10.0.0.1"];
  const { mesh, clock, a, b } = open(named);
  await clock.pass(1000);
  const stop = new AbortController();
  const heard = mesh.signals.watch(run, stop.signal)[Symbol.asyncIterator]();
  named.push("10.0.0.2");
  await clock.pass(4000);
  b.say(window("b", 9));
  expect((await heard.next()).value).toMatchObject({ at: 9 });
  // Names that cannot be looked up for a while change nothing.
  named.push("?");
  await clock.pass(60_000);
  expect([a.state.closed, b.state.closed]).toEqual([false, false]);
  named.splice(0, 3, "10.0.0.2");
  await clock.pass(40_000);
  expect([a.state.closed, b.state.closed]).toEqual([true, false]);
  stop.abort();
  expect((await heard.next()).done).toBe(true);
  expect(b.queues.size).toBe(0);
  mesh.close();
});
