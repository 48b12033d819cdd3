import { type Arm, bucketBounds, type Window } from "../../api/signals.ts";

/** Seconds that are kept: five minutes before a run and the run's own checks of one. */
const kept = 400;
const width = bucketBounds.length + 3;

/** One second of one subject: requests, failed, then its latency buckets. */
class Ring {
  private readonly seconds = new Float64Array(kept).fill(-1);
  private readonly cells = new Uint32Array(kept * width);

  add(second: number, requests: number, failed: number, buckets: readonly number[]): void {
    const slot = second % kept;
    const start = slot * width;
    if (this.seconds[slot] !== second) {
      this.seconds[slot] = second;
      this.cells.fill(0, start, start + width);
    }
    this.bump(start, requests);
    this.bump(start + 1, failed);
    for (const [index, count] of buckets.entries()) this.bump(start + 2 + index, count);
  }

  /** The seconds from `from` on that hold anything, oldest first. */
  since(from: number): { second: number; cells: Uint32Array }[] {
    const found: { second: number; cells: Uint32Array }[] = [];
    this.seconds.forEach((second, slot) => {
      if (second >= from)
        found.push({ second, cells: this.cells.subarray(slot * width, (slot + 1) * width) });
    });
    return found.sort((a, b) => a.second - b.second);
  }

  private bump(index: number, by: number): void {
    this.cells[index] = (this.cells[index] ?? 0) + by;
  }
}

/**
 * What all proxies together saw of each subject, second by second: the past that a new run starts from.
 *
 * Summed over proxies, so its size follows the number of services in use (35 kB each), never that of proxies.
 */
export class History {
  private readonly rings = new Map<string, Ring>();

  add(
    key: string,
    half: 0 | 1,
    at: number,
    growth: { readonly requests: number; readonly failed: number; readonly buckets: readonly number[] },
  ): void {
    if (growth.requests === 0 && growth.failed === 0) return;
    const name = `${half} ${key}`;
    let ring = this.rings.get(name);
    if (ring === undefined) {
      ring = new Ring();
      this.rings.set(name, ring);
    }
    ring.add(Math.floor(at / 1000), growth.requests, growth.failed, growth.buckets);
  }

  /** Cumulative windows of one subject from `from` (epoch milliseconds) on, oldest first. */
  windows(key: string, half: 0 | 1, arm: Arm, side: Window["side"], from: number, replica: string): Window[] {
    const windows: Window[] = [];
    let requests = 0;
    let failed = 0;
    const buckets = Array.from({ length: bucketBounds.length + 1 }, () => 0);
    const ring = this.rings.get(`${half} ${key}`);
    const source = { replica, proxy: `* ${name(half)}`, start: from };
    for (const { second, cells } of ring?.since(Math.floor(from / 1000)) ?? []) {
      requests += cells[0] ?? 0;
      failed += cells[1] ?? 0;
      for (let index = 0; index < buckets.length; index++)
        buckets[index] = (buckets[index] ?? 0) + (cells[2 + index] ?? 0);
      windows.push({
        kind: "window",
        source,
        seq: second,
        at: second * 1000 + 999,
        arm,
        side,
        half,
        requests,
        failed,
        buckets: [...buckets],
        connections: 0,
      });
    }
    return windows;
  }
}

const name = (half: 0 | 1): string => (half === 0 ? "first half" : "second half");
