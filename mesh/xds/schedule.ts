import type { Clock } from "../../lib/clock.ts";

/** When changes are carried out. */
export interface Schedule {
  /** Weights and endpoints: with the next turn of the event loop, together with all that arrives until then. */
  urgent(): void;
  /** Anything else: at once when it is quiet, at most every `interval` in a storm. */
  soon(): void;
  close(): void;
}

/**
 * Makes a schedule of `run`, which carries out everything that is known when it is called.
 *
 * @param interval milliseconds between two runs that nothing urgent asked for
 */
export function createSchedule(clock: Clock, run: () => void, interval = 100): Schedule {
  let immediate: NodeJS.Immediate | undefined;
  let cancelTimer: (() => void) | undefined;
  let lastRun = Number.NEGATIVE_INFINITY;

  function start(): void {
    immediate ??= setImmediate(() => {
      immediate = undefined;
      cancelTimer?.();
      cancelTimer = undefined;
      lastRun = clock.monotonic();
      run();
    });
  }

  return {
    urgent: start,
    soon() {
      if (immediate !== undefined || cancelTimer !== undefined) return;
      const wait = lastRun + interval - clock.monotonic();
      if (wait <= 0) start();
      else cancelTimer = clock.after(wait, start);
    },
    close() {
      cancelTimer?.();
      if (immediate !== undefined) clearImmediate(immediate);
    },
  };
}
