import type { RollbackMark } from "../../api/annotations.ts";
import type { Revision } from "../revision.ts";
import type { MeasuredMoment } from "./observation.ts";
import type { SpecHook } from "./spec.ts";
import type { RunState, State } from "./state.ts";

/**
 * What is to be done, as data, in order. Each may be repeated: after a crash the next decision asks for
 * what is still missing.
 */
export type Effect =
  /** Writes the decision's `next` into the Canary's status. What raises exposure stands behind it, a rollback before. */
  | { readonly kind: "store" }
  /** Keeps the target's present template, so that what was analysed is what is promoted. */
  | { readonly kind: "store-revision"; readonly revision: Revision }
  /** Services, destination rules and the route, where they differ from what the Canary wants. Weights stay. */
  | { readonly kind: "apply-objects"; readonly apex: boolean }
  /** From the stored template of `revision`, or the target's own where it is not stored. */
  | { readonly kind: "create-primary"; readonly revision: Revision }
  /** Makes the route carry what `next` asks for, and the run's mark where a run is live. */
  | { readonly kind: "set-traffic"; readonly run: RunState | undefined }
  /** Weight 0 and the mark, in one write. Never waits for anything. */
  | { readonly kind: "roll-back-route"; readonly mark: RollbackMark }
  | { readonly kind: "clear-run-mark" }
  /** Takes away what another provider carried the traffic with, or gives it back to the user. */
  | { readonly kind: "leave-provider" }
  /** Keeps the primary's present template under the run's name, to restore it from. */
  | { readonly kind: "store-primary"; readonly run: RunState }
  | { readonly kind: "copy-to-primary"; readonly revision: Revision }
  /** The template kept by `store-primary`, with the mark that says so. */
  | { readonly kind: "restore-primary"; readonly run: RunState; readonly mark: RollbackMark }
  | { readonly kind: "scale-target"; readonly replicas: number }
  | {
      readonly kind: "event";
      readonly type: "Normal" | "Warning";
      readonly reason: string;
      readonly message: string;
    }
  | { readonly kind: "alert"; readonly severity: "info" | "warn" | "error"; readonly message: string }
  /** A run ended: its counters and durations. */
  | { readonly kind: "count-run"; readonly outcome: "promoted" | "rolled-back"; readonly run: RunState }
  /** The action was carried out, or does not apply. `pause`, where given, becomes the annotation that holds the run. */
  | { readonly kind: "clear-action"; readonly pause?: boolean }
  /** Gives the target and the routes back, then lets the Canary go. */
  | { readonly kind: "revert" }
  | { readonly kind: "remove-finalizer" };

/** What must be asked outside before the next decision can move the canary. */
export interface Ask {
  readonly about: MeasuredMoment;
  /** Asked one after the other; the first that fails ends it. */
  readonly hooks: readonly SpecHook[];
  /** Whether the metrics are measured, after the hooks. */
  readonly checks: boolean;
  /** Asked last, and only where everything before has passed. */
  readonly gates: readonly SpecHook[];
  /** Flagger's `phase` of the hooks' payload. */
  readonly phase: string;
  readonly run: string;
  readonly revision: Revision;
  /** Not before this time, epoch milliseconds. */
  readonly notBefore: number;
}

/** What is in the way, in words for a condition. `stalled`: a person must act. */
export interface Notice {
  readonly reason: string;
  readonly message: string;
  readonly stalled: boolean;
}

export interface Decision {
  readonly next: State;
  readonly effects: readonly Effect[];
  readonly notice?: Notice;
  readonly ask?: Ask;
  /** Look again in this many milliseconds, although nothing may have changed. */
  readonly again?: number;
}
