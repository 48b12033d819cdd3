import type { Signal } from "../../api/signals.ts";

/** More than this many unread signals, and the oldest go: windows are cumulative, so what follows makes up for them. */
const limit = 20_000;

/** Signals on their way to one consumer. */
export class SignalQueue implements AsyncIterableIterator<Signal> {
  private readonly items: Signal[] = [];
  private readonly stopped: () => void;
  private waiting: ((result: IteratorResult<Signal>) => void) | undefined;
  private closed = false;

  /** @param stopped called once, when the consumer leaves or the queue is closed */
  constructor(stopped: () => void) {
    this.stopped = stopped;
  }

  push(signal: Signal): void {
    if (this.waiting !== undefined) {
      const deliver = this.waiting;
      this.waiting = undefined;
      deliver({ done: false, value: signal });
      return;
    }
    if (this.items.length >= limit) this.items.shift();
    this.items.push(signal);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.waiting?.({ done: true, value: undefined });
    this.waiting = undefined;
    this.stopped();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next signal; what came before the end is still given. One consumer. */
  next(): Promise<IteratorResult<Signal>> {
    const value = this.items.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.closed) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      this.waiting = resolve;
    });
  }

  return(): Promise<IteratorResult<Signal>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }
}
