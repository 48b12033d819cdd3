import type { Milliseconds } from "../../lib/units.ts";
import type { Growth, Side } from "./ledger.ts";

/** What the canary answered in some time. */
export interface Span {
  readonly requests: number;
  readonly failed: number;
  readonly buckets: readonly number[];
  /** False where a part of the latencies is missing. */
  readonly latencyKnown: boolean;
}

/** The canary's last minutes, in slots: what the built-in checks look back on. Bounded, whatever the traffic. */
export interface Recent {
  /** The primary's is left out: nobody looks back on it. */
  add(growth: Growth): void;
  /** Latencies from `from` to `to` are incomplete. */
  gap(from: number, to: number): void;
  /** What came in the `interval` that ends at `now`. */
  span(side: Side, interval: Milliseconds, now: number): Span;
}

interface Slot {
  requests: number;
  failed: number;
  readonly buckets: number[];
  known: boolean;
}

const slots = 360;
/** Kept beyond the interval: a proxy's clock may be ahead of ours, in seconds. */
const spare = 30;

/** Keeps `longest` in seconds, in 360 longer slots where that is more than six minutes. `bounds` is the number of latency bounds. */
export function createRecent(longest: Milliseconds, bounds: number): Recent {
  const width = Math.max(1000, Math.ceil(longest / slots / 1000) * 1000);
  const most = Math.ceil(longest / width) + spare;
  const rings = new Map<Side, Map<number, Slot>>();
  let gaps: { from: number; to: number }[] = [];
  return {
    add({ arm, side, at, requests, failed, buckets }) {
      if (arm === "primary") return;
      const ring = rings.get(side) ?? new Map<number, Slot>();
      rings.set(side, ring);
      const number = Math.floor(at / width);
      const slot = ring.get(number) ?? {
        requests: 0,
        failed: 0,
        buckets: Array.from({ length: bounds + 1 }, () => 0),
        known: true,
      };
      ring.set(number, slot);
      slot.requests += requests;
      slot.failed += failed;
      slot.known &&= buckets !== undefined;
      if (buckets !== undefined) addTo(slot.buckets, buckets);
      if (ring.size > most) ring.delete(Math.min(...ring.keys()));
    },
    gap(from, to) {
      gaps = [...gaps, { from, to }].slice(-slots);
    },
    span(side, interval, now) {
      const buckets = Array.from({ length: bounds + 1 }, () => 0);
      let requests = 0;
      let failed = 0;
      let latencyKnown = !gaps.some(({ from, to }) => to > now - interval && from < now);
      for (const [number, slot] of rings.get(side) ?? []) {
        if (number * width <= now - interval - width || number * width > now) continue;
        if ((number + 1) * width <= now - interval) continue;
        requests += slot.requests;
        failed += slot.failed;
        latencyKnown &&= slot.known;
        addTo(buckets, slot.buckets);
      }
      return { requests, failed, buckets, latencyKnown };
    },
  };
}

function addTo(sum: number[], more: readonly number[]): void {
  for (let bucket = 0; bucket < more.length; bucket++) sum[bucket] = (sum[bucket] ?? 0) + (more[bucket] ?? 0);
}
