/** How long to wait before the next try: doubles from `base` to `max` milliseconds, half of it at random. */
export interface Backoff {
  /** Milliseconds to wait now; the next answer is about twice as long. */
  next(): number;
  /** After a success. */
  reset(): void;
}

/**
 * Makes a back-off.
 *
 * The random half keeps clients that failed together from coming back together.
 */
export function createBackoff(base: number, max: number, random: () => number = Math.random): Backoff {
  let delay = base;
  return {
    next() {
      const wait = delay / 2 + (delay / 2) * random();
      delay = Math.min(delay * 2, max);
      return wait;
    },
    reset() {
      delay = base;
    },
  };
}
