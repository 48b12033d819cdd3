import type { Attempt } from "../../api/signals.ts";

/** The window's least number of canary attempts and least length. */
const leastAttempts = 10;
const leastSpan = 500;
/** Share of failed primary attempts from which on the failure is taken for a shared one. */
const sharedFailure = 0.2;
/** Attempts kept of each arm, so that a flood does not fill the memory. */
const mostKept = 4096;

/** What of an attempt decides. */
export type SeenAttempt = Pick<Attempt, "at" | "arm" | "failed" | "connection" | "times">;

type Seen = Omit<SeenAttempt, "arm">;

/** Why the canary must be rolled back at once, and the attempts that show it, in the order of time. */
export interface Outage {
  readonly reason: string;
  readonly attempts: readonly SeenAttempt[];
}

/** Watches a run's attempts for a total outage of its canary. Keeps its own memory; no clock, no I/O. */
export interface TripWire {
  /**
   * Takes one attempt. Attempts of before `since` (epoch milliseconds, when the run's weight was first acknowledged)
   * do not count.
   *
   * @returns undefined while the canary need not be rolled back at once
   */
  take(attempt: SeenAttempt, since: number): Outage | undefined;
}

/**
 * Fires when every canary attempt of a window failed: the shortest window up to now of at least 10 attempts and half
 * a second, from at least two downstream connections if it saw more than one, while under 20 % of the primary's
 * attempts in it failed. Independent failures at even 20 % reach that once in 10^7.
 */
export function createTripWire(): TripWire {
  let canary: Seen[] = [];
  let primary: Seen[] = [];
  return {
    take(attempt, since) {
      if (!Number.isFinite(attempt.at) || attempt.at < since) return undefined;
      if (attempt.arm === "primary") {
        if (canary.length > 0) insert(primary, attempt);
        return undefined;
      }
      if (!attempt.failed) {
        canary = canary.filter(({ at }) => at > attempt.at);
        primary = primary.filter(({ at }) => at > attempt.at);
        return undefined;
      }
      insert(canary, attempt);
      const start = windowStart(canary);
      if (start === undefined) return undefined;
      canary = canary.filter(({ at }) => at >= start);
      primary = primary.filter(({ at }) => at >= start);
      const reason = verdict(canary, primary);
      return reason === undefined ? undefined : { reason, attempts: inOrder(canary, primary) };
    },
  };
}

/** Attempts come nearly in order: proxies' clocks differ a little. */
function insert(list: Seen[], { at, failed, connection, times = 1 }: Seen): void {
  let place = list.length;
  while (place > 0 && (list[place - 1]?.at ?? at) > at) place--;
  list.splice(place, 0, { at, failed, connection, times });
  if (list.length > mostKept) list.shift();
}

/** Both arms in one list. At one moment the canary's come first: without one no attempt at the primary is kept. */
function inOrder(canary: readonly Seen[], primary: readonly Seen[]): SeenAttempt[] {
  const of = (arm: SeenAttempt["arm"], seen: readonly Seen[]) =>
    seen.map((attempt): SeenAttempt => ({ ...attempt, arm }));
  return [...of("canary", canary), ...of("primary", primary)].toSorted((a, b) => a.at - b.at);
}

/** When the shortest window begins that is large and long enough; undefined where there is none yet. */
function windowStart(failures: readonly Seen[]): number | undefined {
  const last = failures.at(-1);
  const nth = failures.at(-leastAttempts);
  if (last === undefined || nth === undefined) return undefined;
  return failures.findLast(({ at }) => at <= nth.at && at <= last.at - leastSpan)?.at;
}

function verdict(canary: readonly Seen[], primary: readonly Seen[]): string | undefined {
  const canaryConnections = new Set(canary.map(({ connection }) => connection));
  const connections = new Set([...canaryConnections, ...primary.map(({ connection }) => connection)]);
  if (connections.size > 1 && canaryConnections.size < 2) return undefined;
  const attempts = (seen: readonly Seen[]): number => seen.reduce((sum, { times = 1 }) => sum + times, 0);
  const all = attempts(primary);
  const primaryFailed = attempts(primary.filter(({ failed }) => failed));
  if (all > 0 && primaryFailed / all >= sharedFailure) return undefined;
  const span = (((canary.at(-1)?.at ?? 0) - (canary[0]?.at ?? 0)) / 1000).toFixed(1);
  return `all ${canary.length} attempts at the canary in the last ${span} s failed (primary: ${primaryFailed} of ${all === primary.length ? all : `about ${all}`})`;
}
