import { isRevision } from "../revision.ts";
import type { Ask, Decision, Effect } from "./effects.ts";
import { gatesToAsk } from "./gates.ts";
import type { Observation, TargetObservation } from "./observation.ts";
import { nowhere } from "./plan.ts";
import type { DecisionSpec } from "./spec.ts";
import { type Progressing, type Remembered, remembered, type State } from "./state.ts";

export type PresentTarget = Extract<TargetObservation, { kind: "present" }>;

/** What a target's revision is to a canary without a run. */
export type RevisionNews =
  /** Nothing to do. */
  | "known"
  /** To be recorded, but no reason for a run: back at what is promoted, made by Flagger, or only hashed anew. */
  | "adopt"
  | "new";

/**
 * Whether a target asks for a run.
 *
 * Flagger's hashes cannot be compared: its status is adopted without a run where the primary already has
 * the target's template, and where Flagger had ended in Failed. The fence keeps a changed hash of an
 * unedited spec (another API server's defaults) from starting a run.
 */
export function revisionNews(state: State, target: PresentTarget): RevisionNews {
  const { applied, promoted } = state;
  if (applied === target.revision) {
    return promoted === undefined || state.fence !== target.fence ? "adopt" : "known";
  }
  if (!isRevision(applied)) {
    return target.sameAsPrimary || state.phase === "Failed" || applied === undefined ? "adopt" : "new";
  }
  if (target.revision === promoted) return "adopt";
  const sameConfigs = sameMap(state.trackedConfigs, target.trackedConfigs);
  return state.fence === target.fence && sameConfigs ? "adopt" : "new";
}

/** What is remembered after `adopt`. */
export function adopted(state: State, target: PresentTarget): Remembered {
  const before = remembered(state);
  const isPromoted =
    target.sameAsPrimary ||
    before.promoted === undefined ||
    (before.promoted === before.applied && isRevision(before.applied));
  return {
    ...before,
    applied: target.revision,
    ...(isPromoted && { promoted: target.revision }),
    fence: target.fence,
    trackedConfigs: target.trackedConfigs,
  };
}

/** The confirm-rollout gates of a revision that has not begun. */
export function askConfirmRollout(
  state: State,
  target: PresentTarget,
  spec: DecisionSpec,
  seen: Observation,
): Ask | undefined {
  const hooks = gatesToAsk(spec, seen.gates, "confirm-rollout");
  if (hooks.length === 0) return undefined;
  return {
    about: { phase: "confirm-rollout", revision: target.revision },
    hooks,
    checks: false,
    gates: [],
    phase: state.phase,
    run: seen.freshRun,
    revision: target.revision,
    notBefore: state.phase === "Waiting" ? seen.now + spec.interval : seen.now,
  };
}

/**
 * Begins a run: its template is kept and the run stored before anything is scaled, so that a revision is
 * recorded as seen only together with its run.
 */
export function startRun(
  state: State,
  target: PresentTarget,
  seen: Observation,
  spec: DecisionSpec,
): Decision {
  const next = freshRun(state, target, seen);
  return {
    next,
    effects: [
      ...storeRevision(target),
      { kind: "store" },
      {
        kind: "event",
        type: "Normal",
        reason: "NewRevision",
        message: `New revision detected! Scaling up ${spec.target}`,
      },
      { kind: "alert", severity: "info", message: "New revision detected, progressing canary analysis." },
      { kind: "scale-target", replicas: target.replicasForRun },
      { kind: "set-traffic", run: next.run },
    ],
  };
}

/** A new revision came while another was analysed: weight 0 first, then the new run is stored. */
export function restartRun(
  state: Progressing,
  target: PresentTarget,
  seen: Observation,
  spec: DecisionSpec,
): Decision {
  const next = freshRun(state, target, seen);
  return {
    next,
    effects: [
      { kind: "set-traffic", run: state.run },
      ...storeRevision(target),
      { kind: "store" },
      {
        kind: "event",
        type: "Normal",
        reason: "NewRevision",
        message: `New revision detected! Restarting analysis for ${spec.target}`,
      },
      { kind: "set-traffic", run: next.run },
    ],
  };
}

function freshRun(state: State, target: PresentTarget, seen: Observation): Progressing {
  const { failure: _before, rescues: _rescues, ...rest } = remembered(state);
  return {
    ...rest,
    phase: "Progressing",
    applied: target.revision,
    fence: target.fence,
    trackedConfigs: target.trackedConfigs,
    checks: [],
    run: {
      id: seen.freshRun,
      revision: target.revision,
      startedAt: seen.now,
      preRolloutPassed: false,
      ...(target.knownGood && { knownGood: true }),
      ...(seen.autoscaled && seen.primary.kind === "present" && { primaryReplicas: seen.primary.replicas }),
    },
    ...nowhere,
    failedChecks: 0,
  };
}

function storeRevision(target: PresentTarget): readonly Effect[] {
  return [{ kind: "store-revision", revision: target.revision }];
}

function sameMap(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
