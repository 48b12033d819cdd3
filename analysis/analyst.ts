/**
 * What the controller sees of this room: one analyst for the process, one analysis for each live run.
 */
import type { Run } from "../api/signals.ts";
import type { Milliseconds, Percent } from "../lib/units.ts";
import type { Metric } from "./checks/metric.ts";
import type { PairedMetric } from "./checks/pair.ts";
import type { Check } from "./checks/types.ts";
import type { JudgeBase } from "./judge/settings.ts";
import type { SeenAttempt } from "./judge/trip-wire.ts";
import type { AdvanceSettings, Judgement, JudgeSettings } from "./judge/types.ts";
import type { Ended, RecordMode } from "./record/format.ts";
import type { Rescues } from "./series/ledger.ts";

/** How one run is analysed; `readRunSettings` makes it from a Canary. */
export interface RunSettings {
  /** undefined where the guard is off and no `sequential` is asked: then only checks decide. */
  readonly judge: JudgeSettings | undefined;
  /** Whether every canary attempt failing ends the run at once. */
  readonly tripWire: boolean;
  readonly advance: AdvanceSettings;
  /** What `checks()` measures at each tick, in the Canary's order. */
  readonly metrics: readonly Metric[];
  /** Metrics of providers that are compared with the primary; none where absent. */
  readonly pairs?: readonly PairedMetric[];
  /** Of a shielded canary; absent: it has none. */
  readonly shield?: ShieldSettings;
  /** How often the judge polls; 1 s where absent. */
  readonly poll?: Milliseconds;
  /** Under which Canary's name its runs are recorded, when, and with which thresholds; not at all where absent. */
  readonly record?: {
    readonly canary: string;
    readonly mode: RecordMode;
    readonly base: Omit<JudgeBase, "bounds">;
  };
}

/** How a shielded canary's attempts are looked at. */
export interface ShieldSettings {
  /** Time that a check looks back on. */
  readonly interval: Milliseconds;
  /** Whether the weight alone tells the canary's share of attempts: requests that stay where they were, or do not take part, blur it. */
  readonly byWeight: boolean;
}

/** A roll-back verdict: something that must not wait for a tick. */
export interface Harm {
  readonly by: "trip-wire" | "harm";
  /** One line for the event, the status and the route's rollback mark. */
  readonly reason: string;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly judgement?: Judgement;
  /** What the trip wire saw. */
  readonly attempts?: readonly SeenAttempt[];
}

export interface RunAnalysis {
  readonly run: Run;
  readonly settings: RunSettings;
  /**
   * Tells the judge which weight the proxies now hold: from here on requests count for it. Call it when a step was
   * acknowledged (the first time starts the run's clock), and with 0 when the canary takes no users' traffic.
   */
  setWeight(weight: Percent, at: number): void;
  /** The latest judgement; undefined before the first poll or where nothing is judged. */
  judgement(): Judgement | undefined;
  /** Called once, at once, on a roll-back verdict; later handlers get a verdict that already fell. Returns what removes it. */
  onHarm(handler: (harm: Harm) => void): () => void;
  /** Called after each poll with its judgement, e.g. to step when evidence allows before the next tick. */
  onJudgement(handler: (judgement: Judgement) => void): () => void;
  /** Measures every metric over its interval that ends at `now`. Never rejects: what goes wrong is an inconclusive check. */
  checks(now: number): Promise<readonly Check[]>;
  /** Users of the canary's failed attempts so far; undefined without a shield. */
  rescues(): Rescues | undefined;
  /**
   * Called where {@link rescues} have changed, and once more some seconds after the run was closed, `last`: what proxies
   * report late is in it. Only of a shielded canary. Returns what removes it.
   */
  onRescues(handler: (rescues: Rescues, last: boolean) => void): () => void;
  /** The judge's state for the Canary's status (JSON text, under 1 kB in usual runs); give it to `start` after a restart. */
  stored(): string;
  /** Stops judging. `ended` is how the run ended, for its record. Idempotent. */
  close(ended?: Ended): void;
}

export interface Analyst {
  /** Begins to watch a run. `stored` is what `stored()` gave before a restart: unreadable text begins anew. */
  start(run: Run, settings: RunSettings, stored?: string): RunAnalysis;
  /** Stops every analysis; resolves when what was recorded is stored. */
  close(): Promise<void>;
}
