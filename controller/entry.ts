import type { Harm, RunAnalysis } from "../analysis/analyst.ts";
import type { Ended } from "../analysis/record/format.ts";
import type { ReadCanary } from "../api/canary/types.ts";
import type { Run } from "../api/signals.ts";
import type { Clock } from "../lib/clock.ts";
import type { Milliseconds } from "../lib/units.ts";
import type { Ask } from "./decide/effects.ts";
import { isIdle, type Measurement, type RouteObservation } from "./decide/observation.ts";
import type { RunRescues, State } from "./decide/state.ts";
import type { KnownReading } from "./reading.ts";

/** How many proxies hold a route's stored version, of those that carry it. */
export type RouteAcknowledged = (route: {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** The stored version that is asked about. */
  readonly resourceVersion?: string;
}) => { readonly held: number; readonly of: number };

/** What this process remembers of one canary. Losing it costs nothing but time. */
export interface Entry {
  readonly key: string;
  /** The overlay's turn at the last look: echoes of writes up to it bring nothing new. */
  looked?: number;
  /** Of the object as it stands. */
  reading?: KnownReading;
  /** The ConfigMaps and Secrets whose changes wake it. */
  configs?: string;
  /** The last spec that could be read: the guard goes on with it while a later one cannot. */
  canary?: ReadCanary;
  analysis?: RunAnalysis;
  harm?: Harm;
  /** What the shield of the run under way, else of the last, has done. */
  rescues?: RunRescues;
  measurement?: Measurement;
  asked?: { readonly about: string; readonly stop: () => void };
  /** Since when (monotonic) the route has been seen at weight 0. */
  zeroSince?: number;
  /** The weight that is being told to the judge. */
  tracked?: { readonly weight: number; readonly stop: () => void };
}

/** Where nobody says what the proxies hold. */
const grace = 2000;
/** A proxy that never acknowledges does not keep the pods for ever. */
const longestDrain = 30_000;
/** What a mesh needs to see the write at all. */
const settle = 500;
/** Nobody says when the proxies have acknowledged. */
const lookEvery = 250;

/**
 * When every proxy will have held weight 0 long enough for the canary's pods to go: milliseconds until it is worth another
 * look, 0: they have.
 */
export function drainsIn(
  entry: Entry,
  route: RouteObservation,
  acknowledged: { readonly held: number; readonly of: number } | undefined,
  clock: Clock,
): Milliseconds {
  if (route.kind !== "present") return 0;
  if (!isIdle(route)) {
    delete entry.zeroSince;
    return lookEvery;
  }
  entry.zeroSince ??= clock.monotonic();
  const age = clock.monotonic() - entry.zeroSince;
  const left = (least: Milliseconds) => Math.max(Math.ceil(least - age), 0);
  const isKnown = acknowledged !== undefined && acknowledged.of > 0;
  if (isKnown && acknowledged.held >= acknowledged.of) return left(settle);
  return Math.min(left(isKnown ? longestDrain : grace), lookEvery);
}

/** Names an ask: two that ask the same of the same moment are one. */
export function askName({ about, hooks, checks, gates }: Ask): string {
  return JSON.stringify([about, hooks.map(({ name }) => name), checks, gates.map(({ name }) => name)]);
}

/** Ends everything that goes on for a canary. */
export function closeEntry(entry: Entry): void {
  entry.analysis?.close();
  entry.asked?.stop();
  entry.tracked?.stop();
}

/** How a run ended that `state` does not have any more, for its record. */
export function howEnded(state: State, { run, revision }: Pick<Run, "run" | "revision">): Ended {
  const { failure } = state;
  if (failure?.run === run)
    return { outcome: "rolled back", message: `${failure.reason}: ${failure.message}` };
  if (state.phase === "Finalising" || (state.phase === "Succeeded" && state.promoted === revision))
    return { outcome: "promoted" };
  return { outcome: "superseded" };
}
