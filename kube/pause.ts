import type { Clock } from "../lib/clock.ts";

/** Waits `milliseconds`, or until `signal` aborts. Never rejects. */
export function pause(clock: Clock, milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(milliseconds, done);
    signal?.addEventListener("abort", done, { once: true });
    if (signal?.aborted) done();
    function done() {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    }
  });
}
