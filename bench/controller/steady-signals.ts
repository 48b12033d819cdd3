import type { Arm, Attempt, Run, Signals, Window } from "../../api/signals.ts";
import { bucketBounds } from "../../api/signals.ts";

/** What proxies would say of every run: a window each second of both arms, both sides, both halves; attempts where all fail. */
export interface SteadySignals extends Signals {
  /** From now on every attempt at the canary of this route fails. */
  breakCanary(namespace: string, name: string): void;
}

const requestsPerSecond = 50;
const windowEvery = 1000;
const attemptsEvery = 20;
const noneSlow: readonly number[] = Array.from({ length: bucketBounds.length + 1 }, () => 0);

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
      const series = seriesOf(run);
      const key = `${run.route.namespace}/${run.route.name}`;
      let seq = 0;
      let told = 0;
      while (signal?.aborted !== true) {
        const now = performance.now();
        if (now - told >= windowEvery) {
          told = now;
          seq++;
          for (const one of series) yield windowOf(one, seq);
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

/** What a proxy counts of one arm, side and half. */
interface Series extends Pick<Window, "source" | "arm" | "side" | "half"> {
  requests: number;
}

/** As of the mesh, the windows of a proxy share one object for their source. */
function seriesOf({ run }: Run): readonly Series[] {
  return (["primary", "canary"] as const).flatMap((arm) =>
    (["client", "destination"] as const).flatMap((side) => {
      const source = { replica: "bench", proxy: `${run} ${arm} ${side}`, start: 1 };
      return ([0, 1] as const).map((half) => ({ source, arm, side, half, requests: 0 }));
    }),
  );
}

function windowOf(series: Series, seq: number): Window {
  series.requests += requestsPerSecond / 4;
  const { source, arm, side, half, requests } = series;
  const buckets: number[] = [...noneSlow];
  buckets[3] = requests;
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
