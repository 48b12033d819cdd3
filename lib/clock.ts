/**
 * Time as an argument. Decisions take `now`; only files named for waiting hold a clock.
 */
export interface Clock {
  /** Wall clock, epoch milliseconds: for what is stored or shown. */
  now(): number;
  /** Monotonic milliseconds: for leases, timeouts and rates. */
  monotonic(): number;
  /** Calls `callback` once after `delay` milliseconds; returns what cancels it. The timer never keeps the process alive. */
  after(delay: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delay, callback) {
    const timer = setTimeout(callback, delay);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
