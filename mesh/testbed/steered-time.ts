import type { Clock } from "../../lib/clock.ts";

/** Time that a test moves: what is due runs in order, and everything that follows from it is done before the next. */
export interface SteeredTime {
  readonly clock: Clock;
  /** Milliseconds since the start. */
  readonly now: () => number;
  /** Runs `run` in `delay` milliseconds; the answer takes that back. */
  after(delay: number, run: () => void): () => void;
  /** Lets `duration` milliseconds pass. */
  pass(duration: number): Promise<void>;
}

interface Due {
  readonly at: number;
  readonly run: () => void;
}

export function createSteeredTime(): SteeredTime {
  let time = 0;
  let queue: readonly Due[] = [];
  const now = () => time;
  const after = (delay: number, run: () => void) => {
    const due = { at: time + Math.max(0, delay), run };
    const place = queue.findIndex(({ at }) => at > due.at);
    queue = place < 0 ? [...queue, due] : queue.toSpliced(place, 0, due);
    return () => {
      queue = queue.filter((other) => other !== due);
    };
  };
  return {
    clock: { now, monotonic: now, after },
    now,
    after,
    async pass(duration) {
      const end = time + duration;
      for (let [next] = queue; next !== undefined && next.at <= end; [next] = queue) {
        time = next.at;
        queue = queue.slice(1);
        next.run();
        await settled();
      }
      time = end;
    },
  };
}

/** Resolves when what was put off to the next turns of the event loop is done. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
