import type { Clock } from "../../lib/clock.ts";
import type { Milliseconds } from "../../lib/units.ts";

/** How much a provider is asked, and when it is left alone. */
export interface Limits {
  /** Queries under way at the same time. */
  readonly concurrency: number;
  /** Queries a second, over some seconds. */
  readonly perSecond: number;
  /** Failures in a row after which it is left alone, for `pause`, each time twice as long, at most `longestPause`. */
  readonly failures: number;
  readonly pause: Milliseconds;
  readonly longestPause: Milliseconds;
  /** Queries that may wait; more are refused at once. */
  readonly waiting: number;
}

export const defaultLimits: Limits = {
  concurrency: 8,
  perSecond: 50,
  failures: 5,
  pause: 5_000,
  longestPause: 60_000,
  waiting: 1_000,
};

export interface Limiter {
  /** Runs `work` when its turn comes; or gives what `refused` makes of the reason why it will not be run. */
  run<T>(
    work: () => Promise<T>,
    isDown: (result: T) => boolean,
    refused: (reason: string) => T,
    signal?: AbortSignal,
  ): Promise<T>;
}

/** One provider's limits, shared by all that ask it: a slow or broken one delays its own queries and no others. */
export function createLimiter(clock: Clock, limits: Limits = defaultLimits): Limiter {
  const queue: (() => void)[] = [];
  let running = 0;
  let tokens = limits.perSecond;
  let filledAt = clock.monotonic();
  let failed = 0;
  let pause = limits.pause;
  let closedUntil = Number.NEGATIVE_INFINITY;
  let timer: (() => void) | undefined;

  const next = (): void => {
    const now = clock.monotonic();
    tokens = Math.min(limits.perSecond, tokens + ((now - filledAt) / 1000) * limits.perSecond);
    filledAt = now;
    while (queue.length > 0 && running < limits.concurrency && tokens >= 1) {
      tokens -= 1;
      running += 1;
      queue.shift()?.();
    }
    if (queue.length === 0 || running >= limits.concurrency || timer !== undefined) return;
    timer = clock.after(Math.ceil(((1 - tokens) / limits.perSecond) * 1000), () => {
      timer = undefined;
      next();
    });
  };
  const note = (down: boolean): void => {
    failed = down ? failed + 1 : 0;
    if (!down) pause = limits.pause;
    if (failed < limits.failures) return;
    closedUntil = clock.monotonic() + pause;
    pause = Math.min(pause * 2, limits.longestPause);
    // One failure more, by the query that tries again, closes it anew.
    failed = limits.failures - 1;
  };
  const closedReason = (): string | undefined => {
    const rest = closedUntil - clock.monotonic();
    return rest > 0
      ? `it failed ${limits.failures} times in a row and is asked again in ${Math.ceil(rest / 1000)} s`
      : undefined;
  };
  const turn = (signal: AbortSignal | undefined): Promise<boolean> =>
    new Promise((resolve) => {
      const begin = (): void => {
        signal?.removeEventListener("abort", leave);
        resolve(true);
      };
      const leave = (): void => {
        const place = queue.indexOf(begin);
        if (place >= 0) queue.splice(place, 1);
        resolve(false);
      };
      signal?.addEventListener("abort", leave, { once: true });
      queue.push(begin);
      next();
    });

  return {
    async run(work, isDown, refused, signal) {
      const reason =
        closedReason() ??
        (queue.length >= limits.waiting ? `${limits.waiting} queries wait for it already` : undefined);
      if (reason !== undefined) return refused(reason);
      if (signal?.aborted || !(await turn(signal))) return refused("the query was called off");
      try {
        // It may have broken while this one waited.
        const broken = closedReason();
        if (broken !== undefined) return refused(broken);
        const result = await work();
        if (!signal?.aborted) note(isDown(result));
        return result;
      } finally {
        running -= 1;
        next();
      }
    },
  };
}
