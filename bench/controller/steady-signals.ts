import type { Arm, Attempt, Run, Signal, Signals, Window } from "../../api/signals.ts";
import { bucketBounds } from "../../api/signals.ts";

/** What proxies would say of every run: a window each second of both arms, both sides, both halves; attempts where all fail. */
export interface SteadySignals extends Signals {
  /** From now on every attempt at the canary of this route fails. */
  breakCanary(namespace: string, name: string): void;
}

const requestsPerSecond = 50;
const windowEvery = 1000;
const attemptsEvery = 20;
const quietBuckets = bucketBounds.length + 1;

export function createSteadySignals(): SteadySignals {
  const broken = new Set<string>();
  /** Ends the pause of a route's stream. */
  const wake = new Map<string, () => void>();
  return {
    breakCanary(namespace, name) {
      broken.add(`${namespace}/${name}`);
      wake.get(`${namespace}/${name}`)?.();
    },
    async *watch(run, signal) {
      const counts = new Map<string, number>();
      const key = `${run.route.namespace}/${run.route.name}`;
      let seq = 0;
      let told = 0;
      while (signal?.aborted !== true) {
        const now = performance.now();
        if (now - told >= windowEvery) {
          told = now;
          seq++;
          yield* windows(run, counts, seq);
        }
        if (broken.has(key)) yield* failedAttempts(seq);
        const left = Math.max(told + windowEvery - performance.now(), 1);
        await new Promise<void>((resolve) => {
          wake.set(key, resolve);
          setTimeout(resolve, broken.has(key) ? attemptsEvery : left);
        });
      }
    },
    history: async () => [],
    cut: async () => ({ held: 0, of: 0 }),
    release: async () => {},
    health: () => [],
  };
}

function* windows(run: Run, counts: Map<string, number>, seq: number): Generator<Signal> {
  for (const arm of ["primary", "canary"] as const) {
    for (const side of ["client", "destination"] as const) {
      for (const half of [0, 1] as const) yield windowOf(run, counts, { arm, side, half, seq });
    }
  }
}

function windowOf(
  run: Run,
  counts: Map<string, number>,
  { arm, side, half, seq }: Pick<Window, "arm" | "side" | "half" | "seq">,
): Window {
  const key = `${arm} ${side} ${half}`;
  const requests = (counts.get(key) ?? 0) + requestsPerSecond / 4;
  counts.set(key, requests);
  const buckets = Array.from({ length: quietBuckets }, (_, index) => (index === 3 ? requests : 0));
  const source = { replica: "bench", proxy: `${run.run} ${arm} ${side}`, start: 1 };
  return {
    kind: "window",
    source,
    seq,
    at: Date.now(),
    arm,
    side,
    half,
    requests,
    failed: 0,
    buckets,
    connections: 4,
  };
}

/** Half of the route's requests reach the canary: with 50 a second, one attempt each 20 ms in turn. */
function* failedAttempts(seq: number): Generator<Attempt> {
  const arm: Arm = Math.random() < 0.5 ? "canary" : "primary";
  const failed = arm === "canary";
  yield {
    kind: "attempt",
    source: { replica: "bench", proxy: "client", start: 1 },
    arm,
    at: Date.now(),
    failed,
    status: failed ? 500 : 200,
    flags: [],
    connection: `${seq}-${Math.floor(Math.random() * 4)}`,
  };
}
