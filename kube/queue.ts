import { type Clock, systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { type Backoff, createBackoff } from "./backoff.ts";

/** Keys to be worked on. Each is worked on by one at a time, and once more if it was added meanwhile. */
export interface Queue {
  /** Now, or right after the work that is going on for this key. */
  add(key: string): void;
  /** In `delay` milliseconds, or sooner if an earlier one waits already. Does not hold back an `add`. */
  addAfter(key: string, delay: number): void;
  /** In `delay` milliseconds, unless the key is worked on before: for news that others will follow at once. */
  addWithin(key: string, delay: number): void;
  /** Takes nothing more; resolves when the work going on is done. */
  close(): Promise<void>;
}

export interface QueueOptions {
  /**
   * The work: reads the newest state by itself, so that nothing is lost when many adds become one.
   * What it throws is logged and the key comes again with back-off; `{ after }` asks to come again in milliseconds.
   */
  readonly process: (key: string) => Promise<{ readonly after: number } | undefined> | Promise<void>;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Keys worked on at the same time. Default 4. */
  readonly concurrency?: number;
  /** Milliseconds before the first retry of a failed key, and at most. Default 200 and 30,000. */
  readonly retry?: number;
  readonly maxRetry?: number;
}

/** Makes a work queue; it starts at the first key. */
export function createQueue(options: QueueOptions): Queue {
  const { process, logger, clock = systemClock, concurrency = 4, retry = 200, maxRetry = 30_000 } = options;
  /** In the order of their coming. */
  const ready = new Set<string>();
  const active = new Map<string, Promise<void>>();
  const delayed = new Map<string, { readonly due: number; readonly cancel: () => void }>();
  /** What ends the wait of keys that will not wait once they are worked on. */
  const patient = new Map<string, () => void>();
  const backoffs = new Map<string, Backoff>();
  let closed = false;

  function add(key: string): void {
    if (closed) return;
    ready.add(key);
    start();
  }

  function addAfter(key: string, delay: number): void {
    if (closed) return;
    if (delay <= 0) {
      add(key);
      return;
    }
    const due = clock.monotonic() + delay;
    const waiting = delayed.get(key);
    if (waiting !== undefined && waiting.due <= due) return;
    waiting?.cancel();
    const cancel = clock.after(delay, () => {
      delayed.delete(key);
      add(key);
    });
    delayed.set(key, { due, cancel });
  }

  function addWithin(key: string, delay: number): void {
    if (closed || patient.has(key)) return;
    const cancel = clock.after(delay, () => {
      patient.delete(key);
      add(key);
    });
    patient.set(key, cancel);
  }

  function start(): void {
    for (const key of ready) {
      if (active.size >= concurrency) return;
      if (active.has(key)) continue;
      ready.delete(key);
      active.set(key, work(key));
    }
  }

  async function work(key: string): Promise<void> {
    // The caller of `add` goes on first, and `active` holds this key before it can end.
    await Promise.resolve();
    patient.get(key)?.();
    patient.delete(key);
    try {
      const again = await process(key);
      backoffs.delete(key);
      if (again) addAfter(key, again.after);
    } catch (error) {
      const backoff = backoffs.get(key) ?? createBackoff(retry, maxRetry);
      backoffs.set(key, backoff);
      const wait = Math.round(backoff.next());
      logger.warn({ err: error, work: key }, `failed, again in ${wait} ms`);
      addAfter(key, wait);
    }
    active.delete(key);
    if (!closed) start();
  }

  return {
    add,
    addAfter,
    addWithin,
    async close() {
      closed = true;
      ready.clear();
      for (const { cancel } of delayed.values()) cancel();
      delayed.clear();
      for (const cancel of patient.values()) cancel();
      patient.clear();
      await Promise.all(active.values());
    },
  };
}
