import type { Arm, Cut, Run, Signal, Signals, Window } from "../../api/signals.ts";
import { bucketBounds } from "../../api/signals.ts";

/** Signals that say what the test tells them to: a stream of windows of both arms, and attempts on demand. */
export interface ScriptedSignals extends Signals {
  /** Share of the canary's requests that fail from now on. */
  failing: number;
  /** Every canary attempt fails from now on, also as attempts: the trip wire's case. */
  outage: boolean;
  /** Users of the canary's failures are rescued, and the callers' windows say so. */
  shielded: boolean;
  readonly cuts: Cut[];
  readonly released: string[];
}

const every = 50;
const perWindow = 20;

export function createScriptedSignals(): ScriptedSignals {
  const counts = new Map<string, { requests: number; failed: number }>();
  let seq = 0;
  const scripted: ScriptedSignals = {
    failing: 0,
    outage: false,
    shielded: false,
    cuts: [],
    released: [],
    async *watch(_run: Run, signal?: AbortSignal) {
      while (signal?.aborted !== true) {
        yield* tick();
        await new Promise((resolve) => setTimeout(resolve, every));
      }
    },
    history: async () => [],
    cut: async (cut) => {
      scripted.cuts.push(cut);
      return { held: 1, of: 1 };
    },
    release: async (id) => {
      scripted.released.push(id);
    },
    health: () => [],
  };

  function* tick(): Generator<Signal> {
    seq++;
    for (const arm of ["primary", "canary"] as const) {
      const bad = arm === "canary" ? (scripted.outage ? 1 : scripted.failing) : 0;
      for (const side of ["client", "destination"] as const) {
        for (const half of [0, 1] as const) yield windowOf(arm, side, half, bad);
      }
      if (!scripted.outage) continue;
      for (let index = 0; index < 3; index++) {
        const failed = arm === "canary";
        yield {
          kind: "attempt",
          source: { replica: "test", proxy: "client", start: 1 },
          arm,
          at: Date.now(),
          failed,
          status: failed ? 500 : 200,
          flags: [],
          connection: `${seq}-${index}`,
        };
      }
    }
  }

  function windowOf(arm: Arm, side: Window["side"], half: 0 | 1, bad: number): Window {
    const key = `${arm} ${side} ${half}`;
    const count = counts.get(key) ?? { requests: 0, failed: 0 };
    counts.set(key, count);
    count.requests += perWindow;
    count.failed += Math.round(perWindow * bad);
    return {
      kind: "window",
      source: { replica: "test", proxy: `${arm}-${side}`, start: 1 },
      seq,
      at: Date.now(),
      arm,
      side,
      half,
      requests: count.requests,
      failed: count.failed,
      buckets: [0, 0, count.requests, ...Array.from({ length: bucketBounds.length - 2 }, () => 0)],
      connections: 4,
      ...(scripted.shielded &&
        arm === "canary" &&
        side === "client" && { rescued: count.failed, notRescued: 0 }),
    };
  }
  return scripted;
}
