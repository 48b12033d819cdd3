import type { Check } from "../../analysis/checks/types.ts";
import type { Revision, TrackedConfigs } from "../revision.ts";
import { nowhere, type Position } from "./plan.ts";

/** What every phase remembers. */
export interface Remembered {
  /** The revision that the last run was about. Flagger's own hash where its status was found. */
  readonly applied?: Revision;
  /** The revision that the primary serves. */
  readonly promoted?: Revision;
  /** `<uid>/<generation>` of the target when `applied` was compared last. */
  readonly fence?: string;
  /** Provider whose objects stand; undefined before it was stored for the first time. */
  readonly provider?: string;
  readonly trackedConfigs: TrackedConfigs;
  /** The last failed run, until the next one begins. */
  readonly failure?: Failure;
  /** `name=value` of the cookie that the last run gave the users of its canary. */
  readonly previousCookie?: string;
  /** The checks of the last tick. */
  readonly checks: readonly Check[];
  /** Of the run under way, else of the last, where it has a shield. */
  readonly rescues?: RunRescues;
}

/** Failed attempts at a run's canary: those whose users the primary answered, and those whose users met a failure all the same. */
export interface RunRescues {
  readonly run: string;
  readonly rescued: number;
  readonly notRescued: number;
}

/** Why a run ended without promotion. */
export interface Failure {
  /** One word: TripWire, Harm, Threshold, PodFailure, Deadline, Hook, Aborted, Promotion, TargetDeleted, Inconclusive. */
  readonly reason: FailureReason;
  /** The evidence in one line. */
  readonly message: string;
  readonly check?: string;
  readonly run: string;
  readonly revision: Revision;
  /** Epoch milliseconds. */
  readonly at: number;
}

export type FailureReason =
  | "TripWire"
  | "Harm"
  | "Threshold"
  | "PodFailure"
  | "Deadline"
  | "Hook"
  | "Aborted"
  | "Promotion"
  | "TargetDeleted"
  | "Inconclusive"
  | "RolledBack";

/** One analysis of one revision. Times are epoch milliseconds. */
export interface RunState {
  readonly id: string;
  readonly revision: Revision;
  readonly startedAt: number;
  /** When the weight last changed. */
  readonly steppedAt?: number;
  /** When the advance clock last counted: the next tick is one interval later. */
  readonly tickedAt?: number;
  /** The gate that holds it. */
  readonly waitingFor?: string;
  /** Since when checks have said nothing. */
  readonly heldSince?: number;
  readonly preRolloutPassed: boolean;
  /** Promoted before: analysed no more. */
  readonly knownGood?: boolean;
  /** How many pods the primary is kept at least, to be able to take all traffic back. */
  readonly primaryReplicas?: number;
  /** Held at a step that waits for a person. */
  readonly paused?: boolean;
  /** The judge's own state, opaque. */
  readonly judge?: string;
  /** What the primary served before this promotion, to restore it. Stored before the first write of Promoting. */
  readonly primaryRevision?: Revision;
}

/** What a closed run has still to do, in this order. */
export type Cleanup = "scale-down" | "post-rollout";

export interface Initializing extends Remembered {
  readonly phase: "Initializing";
}

/** No run is under way. */
export interface Resting extends Remembered {
  readonly phase: "Initialized" | "Succeeded" | "Failed";
  /** The run that ended last, as long as something of it is to be done. */
  readonly closed?: RunState;
  readonly cleanup: readonly Cleanup[];
}

/** A new revision waits for its confirm-rollout gates. */
export interface Waiting extends Remembered {
  readonly phase: "Waiting";
}

/** Under analysis; in WaitingPromotion only the confirm-promotion gates are missing. */
export interface Progressing extends Remembered, Position {
  readonly phase: "Progressing" | "WaitingPromotion";
  readonly run: RunState;
  readonly failedChecks: number;
}

/** The primary is rolled to the analysed revision, then takes its traffic back. */
export interface Promoting extends Remembered, Position {
  readonly phase: "Promoting";
  readonly run: RunState;
  readonly failedChecks: number;
}

/** All traffic is the primary's; the canary's pods are still there. */
export interface Finalising extends Remembered {
  readonly phase: "Finalising";
  readonly run: RunState;
}

export interface Terminating extends Remembered {
  readonly phase: "Terminating";
}

export type State = Initializing | Resting | Waiting | Progressing | Promoting | Finalising | Terminating;

/** The part of a state that outlives its phase. */
export function remembered(state: State): Remembered {
  const { applied, promoted, fence, provider, trackedConfigs, failure, previousCookie, checks, rescues } =
    state;
  return {
    ...(applied !== undefined && { applied }),
    ...(promoted !== undefined && { promoted }),
    ...(fence !== undefined && { fence }),
    ...(provider !== undefined && { provider }),
    ...(failure !== undefined && { failure }),
    ...(previousCookie !== undefined && { previousCookie }),
    ...(rescues !== undefined && { rescues }),
    trackedConfigs,
    checks,
  };
}

/** The run under way, and how far it has come. */
export function liveRun(state: State): (Position & { readonly run: RunState }) | undefined {
  switch (state.phase) {
    case "Progressing":
    case "WaitingPromotion":
    case "Promoting":
      return { run: state.run, canaryWeight: state.canaryWeight, iterations: state.iterations };
    case "Finalising":
      return { run: state.run, ...nowhere };
    case "Initializing":
    case "Initialized":
    case "Succeeded":
    case "Failed":
    case "Waiting":
    case "Terminating":
      return undefined;
  }
}
