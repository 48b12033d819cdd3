import type { Decision } from "./effects.ts";
import { startRun } from "./new-run.ts";
import type { Action, Observation } from "./observation.ts";
import { rollBack } from "./roll-back.ts";
import type { DecisionSpec } from "./spec.ts";
import { liveRun, type State } from "./state.ts";
import { promote } from "./tick.ts";

/**
 * What a person asked by `fairlead.dev/action`. Bound to a revision where one is named; an action that does
 * not apply (any more) is taken away, so that each counts once.
 *
 * @returns undefined where nothing was asked
 */
export function decideAction(state: State, seen: Observation, spec: DecisionSpec): Decision | undefined {
  const { action } = seen;
  if (action === undefined) return undefined;
  const taken = carriedOut(state, action, seen, spec);
  if (taken === undefined) return undefined;
  const said = [action.by && `by ${action.by}`, action.reason && `(${action.reason})`]
    .filter(Boolean)
    .join(" ");
  const { decision, refused } = taken;
  return {
    ...decision,
    effects: [
      ...decision.effects,
      {
        kind: "event",
        type: refused === undefined ? "Normal" : "Warning",
        reason: refused === undefined ? "Action" : "ActionRefused",
        message: `Action \`${action.text}\` on ${spec.canary}${said === "" ? "" : ` ${said}`}${refused === undefined ? "" : `: ${refused}`}`,
      },
      {
        kind: "clear-action",
        ...(refused === undefined && action.kind === "pause" && { pause: true }),
        ...(refused === undefined && action.kind === "resume" && { pause: false }),
      },
    ],
  };
}

interface Taken {
  readonly decision: Decision;
  /** Why it was not done. */
  readonly refused?: string;
}

function carriedOut(state: State, action: Action, seen: Observation, spec: DecisionSpec): Taken | undefined {
  const refuse = (refused: string): Taken => ({ decision: { next: state, effects: [] }, refused });
  const revision = liveRun(state)?.run.revision ?? state.applied;
  if (action.revision !== undefined && !isNamed(revision, action.revision)) {
    return refuse(`it is for revision ${action.revision}, which is not the present one`);
  }
  switch (action.kind) {
    case "pause":
    case "resume":
      return { decision: { next: state, effects: [] } };
    case "abort":
      if (state.phase === "Progressing" || state.phase === "WaitingPromotion") {
        const message = `aborted${action.by === undefined ? "" : ` by ${action.by}`}${action.reason === undefined ? "" : `: ${action.reason}`}`;
        return { decision: rollBack(state, seen, spec, { reason: "Aborted", message }) };
      }
      return refuse("no analysis is under way");
    case "promote":
      if (state.phase === "Progressing" || state.phase === "WaitingPromotion") {
        if (
          seen.harm !== undefined ||
          (seen.route.kind === "present" && seen.route.rollback?.run === state.run.id)
        ) {
          return refuse("the canary is being rolled back");
        }
        if (seen.target.kind !== "present" || seen.target.readiness.kind !== "ready")
          return refuse("the canary is not ready");
        if (seen.target.revision !== state.run.revision) return refuse("the target has a newer revision");
        return { decision: promote(state, spec, []) };
      }
      return refuse("no analysis is under way");
    case "retry":
      if (
        state.phase === "Failed" &&
        seen.target.kind === "present" &&
        seen.target.revision !== state.promoted
      ) {
        // What the failed run left is finished first; the action stays until then.
        if (state.cleanup.length > 0) return undefined;
        return { decision: startRun(state, seen.target, seen, spec) };
      }
      return refuse("there is no failed revision to retry");
    case "skip":
    case "set-weight":
    case "unknown":
      return refuse("allowed are promote, abort, pause, resume, retry");
  }
}

/** People name a revision by its first digits, with or without `v2:`. */
function isNamed(revision: string | undefined, name: string): boolean {
  if (revision === undefined || name === "") return false;
  return revision.startsWith(name) || revision.replace(/^v2:/, "").startsWith(name);
}
