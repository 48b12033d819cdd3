import type { Clock } from "../../lib/clock.ts";
import type { EnvoyAdmin } from "./admin.ts";

/** How much is going through a proxy at one moment. */
export interface Traffic {
  /** Requests and TCP connections so far. */
  readonly begun: number;
  readonly active: number;
}

/** Sums the inbound (or all) listeners' counters. */
export function trafficOf(numbers: ReadonlyMap<string, number>): Traffic {
  let begun = 0;
  let active = 0;
  for (const [name, value] of numbers) {
    if (name.endsWith("_total")) begun += value;
    else if (name.endsWith("_active")) active += value;
  }
  return { begun, active };
}

export const inboundTraffic =
  "^(http\\.inbound.*\\.downstream_rq|tcp\\.inbound.*\\.downstream_cx)_(total|active)$";
/** The page of the agent itself (`http.stats`, `http.admin`) is nobody's traffic. */
export const allTraffic =
  "^(http\\.(inbound|outbound).*\\.downstream_rq|tcp\\..*\\.downstream_cx)_(total|active)$";

export interface QuietWait {
  /** Which counters. */
  readonly filter: string;
  /** Milliseconds without a new request and without one in flight. */
  readonly quiet: number;
  /** Milliseconds to wait in any case. */
  readonly atLeast: number;
  /** Milliseconds after which it is over whatever happens. */
  readonly atMost: number;
}

const pollEvery = 50;

/**
 * Waits until no proxy sends here any more: other proxies learn at different moments that this pod is going, so only
 * silence tells. Resolves at once where Envoy does not answer: nothing can arrive then.
 *
 * @returns whether it became quiet
 */
export async function waitUntilQuiet(admin: EnvoyAdmin, clock: Clock, wait: QuietWait): Promise<boolean> {
  const start = clock.monotonic();
  let quietSince = start;
  let begun = -1;
  for (;;) {
    const now = clock.monotonic();
    let traffic: Traffic;
    try {
      traffic = trafficOf(await admin.numbers(wait.filter));
    } catch {
      return true;
    }
    if (traffic.active > 0 || traffic.begun !== begun) quietSince = now;
    begun = traffic.begun;
    if (now - quietSince >= wait.quiet && now - start >= wait.atLeast) return true;
    if (now - start >= wait.atMost) return false;
    await new Promise<void>((resolve) => clock.after(pollEvery, resolve));
  }
}
