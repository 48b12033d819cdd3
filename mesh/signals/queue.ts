import type { Signal } from "../../api/signals.ts";

/** More than this many unread signals, and the oldest go: windows are cumulative, so what follows makes up for them. */
const limit = 20_000;

/** Signals on their way to one consumer. */
export class SignalQueue {
  private readonly items: Signal[] = [];
  private wake: (() => void) | undefined;
  private closed = false;

  push(signal: Signal): void {
    if (this.items.length >= limit) this.items.shift();
    this.items.push(signal);
    this.wake?.();
  }

  close(): void {
    this.closed = true;
    this.wake?.();
  }

  /** All signals until closed. One consumer. */
  async *drain(): AsyncGenerator<Signal> {
    for (;;) {
      for (let next = this.items.shift(); next !== undefined; next = this.items.shift()) yield next;
      if (this.closed) return;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      this.wake = undefined;
    }
  }
}
