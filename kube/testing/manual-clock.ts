import type { Clock } from "../../lib/clock.ts";

export interface ManualClock extends Clock {
  /** Moves the time on, and calls what falls due on the way, each at its time. */
  advance(milliseconds: number): Promise<void>;
}

/** A clock that stands still until it is moved. */
export function createManualClock(): ManualClock {
  let time = 1_000_000;
  const timers = new Set<{ readonly due: number; readonly callback: () => void }>();
  const settle = async () => {
    // Work that itself waits for a turn or two of the event loop is done with after this many.
    for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  return {
    now: () => time,
    monotonic: () => time,
    after(delay, callback) {
      const timer = { due: time + delay, callback };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    async advance(milliseconds) {
      const end = time + milliseconds;
      await settle();
      for (;;) {
        const [next] = [...timers].filter(({ due }) => due <= end).sort((a, b) => a.due - b.due);
        if (next === undefined) break;
        timers.delete(next);
        time = Math.max(time, next.due);
        next.callback();
        await settle();
      }
      time = end;
      await settle();
    },
  };
}
