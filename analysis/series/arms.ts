import type { Counters, Counts } from "../judge/types.ts";
import type { Growth, Side } from "./ledger.ts";

/** Both arms' cumulative counters, as the judge polls them, from the side that sees the traffic. */
export interface Arms {
  add(growth: Growth): void;
  /** The latencies of the coming poll are incomplete. */
  gap(): void;
  /** The counters at the end of a poll. */
  poll(): Counters;
}

interface Sum {
  requests: number;
  failed: number;
  buckets: number[];
}

interface SideSums {
  readonly canary: Sum;
  readonly primary: Sum;
}

/** Polls over which the two sides are compared. */
const compared = 60;

/**
 * Sums growth into what the judge reads. The callers' side counts, because a refused connection never reaches the
 * destination; the destination's where callers in the mesh send less than half of its traffic. Behind a shield it is
 * always the callers': only they know that an attempt was given up. The primary's two halves are told apart by the
 * destination's side alone.
 */
export function createArms(bounds: number, shielded = false): Arms {
  const empty = (): Sum => ({ requests: 0, failed: 0, buckets: Array.from({ length: bounds + 1 }, () => 0) });
  const total: SideSums = { canary: empty(), primary: empty() };
  const halves: readonly [Sum, Sum] = [empty(), empty()];
  const pending: Record<Side, SideSums> = {
    client: { canary: empty(), primary: empty() },
    destination: { canary: empty(), primary: empty() },
  };
  const seen = (side: Side): number => pending[side].canary.requests + pending[side].primary.requests;
  let latencyKnown = true;
  /** Of the last {@link compared} polls, the oldest first. */
  const requests: { client: number; destination: number }[] = [];

  return {
    add(growth) {
      addTo(pending[growth.side][growth.arm], growth);
      if (growth.buckets === undefined) latencyKnown = false;
      if (growth.side === "destination" && growth.arm === "primary") addTo(halves[growth.half], growth);
    },
    gap() {
      latencyKnown = false;
    },
    poll() {
      requests.push({ client: seen("client"), destination: seen("destination") });
      if (requests.length > compared) requests.shift();
      const sum = (side: Side): number => requests.reduce((all, poll) => all + poll[side], 0);
      const side = shielded || 2 * sum("client") >= sum("destination") ? "client" : "destination";
      addTo(total.canary, pending[side].canary);
      addTo(total.primary, pending[side].primary);
      const counters: Counters = {
        canary: copy(total.canary),
        primary: copy(total.primary),
        halves:
          halves[0].requests > 0 && halves[1].requests > 0 ? [copy(halves[0]), copy(halves[1])] : undefined,
        latencyKnown,
      };
      for (const { canary, primary } of [pending.client, pending.destination]) {
        clear(canary);
        clear(primary);
      }
      latencyKnown = true;
      return counters;
    },
  };
}

function addTo(
  sum: Sum,
  more: {
    readonly requests: number;
    readonly failed: number;
    readonly buckets?: readonly number[] | undefined;
  },
): void {
  sum.requests += more.requests;
  sum.failed += more.failed;
  const { buckets } = more;
  if (buckets === undefined) return;
  // In a loop: this runs for every proxy, arm, side and half each second, and an iterator makes an object for each step.
  for (let bucket = 0; bucket < buckets.length; bucket++) {
    const count = buckets[bucket] ?? 0;
    if (count > 0) sum.buckets[bucket] = (sum.buckets[bucket] ?? 0) + count;
  }
}

function clear(sum: Sum): void {
  sum.requests = 0;
  sum.failed = 0;
  sum.buckets.fill(0);
}

function copy({ requests, failed, buckets }: Sum): Counts {
  return { requests, failed, buckets: buckets.slice() };
}
