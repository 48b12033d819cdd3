import type { Decision } from "./effects.ts";
import { startRun } from "./new-run.ts";
import type { Action, Observation } from "./observation.ts";
import { describePosition, nextPosition, type Position } from "./plan.ts";
import { takeBack } from "./promoting.ts";
import { rollBack } from "./roll-back.ts";
import type { DecisionSpec } from "./spec.ts";
import { liveRun, type Progressing, type State } from "./state.ts";
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
  if (action.revision !== undefined && !isNamed(presentRevision(state, seen), action.revision)) {
    return refuse(`it is for revision ${action.revision}, which is not the present one`);
  }
  switch (action.kind) {
    case "pause":
      return { decision: { next: state, effects: [] } };
    case "resume":
      return { decision: resume(state) };
    case "abort":
      return abort(state, action, seen, spec, refuse);
    case "promote":
      return isAnalysed(state)
        ? refuseOr(cannotRaise(state, seen), refuse, () => promote(state, seen, spec, []))
        : refuse("no analysis is under way");
    case "skip":
      if (state.phase === "Waiting" && seen.target.kind === "present")
        return { decision: startRun(state, seen.target, seen, spec) };
      return isAnalysed(state)
        ? refuseOr(cannotRaise(state, seen), refuse, () => skip(state, seen, spec))
        : refuse("no analysis is under way");
    case "set-weight":
      return isAnalysed(state)
        ? setWeight(state, action.weight, seen, spec, refuse)
        : refuse("no analysis is under way");
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
    case "unknown":
      return refuse("allowed are promote, abort, pause, resume, retry, skip, set-weight=1..100");
  }
}

type Refuse = (why: string) => Taken;

function refuseOr(why: string | undefined, refuse: Refuse, decide: () => Decision): Taken {
  return why === undefined ? { decision: decide() } : refuse(why);
}

/** The revision that a person means who looks at the canary now. */
function presentRevision(state: State, { target }: Observation): string | undefined {
  if (state.phase === "Waiting" && target.kind === "present") return target.revision;
  return liveRun(state)?.run.revision ?? state.applied;
}

function isAnalysed(state: State): state is Progressing {
  return state.phase === "Progressing" || state.phase === "WaitingPromotion";
}

function abort(
  state: State,
  { by, reason }: Action,
  seen: Observation,
  spec: DecisionSpec,
  refuse: Refuse,
): Taken | undefined {
  const message = `aborted${by === undefined ? "" : ` by ${by}`}${reason === undefined ? "" : `: ${reason}`}`;
  const cause = { reason: "Aborted", message } as const;
  if (isAnalysed(state)) return { decision: rollBack(state, seen, spec, cause) };
  if (state.phase !== "Promoting") return refuse("no analysis is under way");
  // A primary that is gone is made again first; the action stays until then.
  return seen.primary.kind === "missing" ? undefined : { decision: takeBack(state, seen, spec, cause) };
}

/** What forbids more traffic for the canary, whoever asks for it; undefined where nothing does. */
function cannotRaise(state: Progressing, { harm, route, target }: Observation): string | undefined {
  if (harm !== undefined || (route.kind === "present" && route.rollback?.run === state.run.id))
    return "the canary is being rolled back";
  if (target.kind !== "present" || target.readiness.kind !== "ready") return "the canary is not ready";
  return target.revision === state.run.revision ? undefined : "the target has a newer revision";
}

/** The next weight, or after the last the promotion, whatever checks and gates say. */
function skip(state: Progressing, seen: Observation, spec: DecisionSpec): Decision {
  const position = nextPosition(spec.plan, state);
  return position === undefined ? promote(state, seen, spec, []) : moveTo(state, position, seen, spec);
}

function setWeight(
  state: Progressing,
  weight: number | undefined,
  seen: Observation,
  spec: DecisionSpec,
  refuse: Refuse,
): Taken {
  if (spec.plan.kind !== "weights")
    return refuse("its strategy has iterations, not weights: `skip` takes the next");
  if (weight === undefined || weight < 1 || weight > 100)
    return refuse("a weight is 1 to 100: `abort` takes the canary to 0");
  const why = weight > state.canaryWeight ? cannotRaise(state, seen) : undefined;
  return refuseOr(why, refuse, () => moveTo(state, { canaryWeight: weight, iterations: 0 }, seen, spec));
}

/** A position that a person chose; the analysis goes on from there, an interval later. */
function moveTo(state: Progressing, position: Position, { now }: Observation, spec: DecisionSpec): Decision {
  const { heldSince: _held, waitingFor: _gate, paused: _paused, ...run } = state.run;
  const next: Progressing = {
    ...state,
    phase: "Progressing",
    ...position,
    run: { ...run, steppedAt: now, tickedAt: now },
  };
  return {
    next,
    effects: [
      { kind: "store" },
      { kind: "set-traffic", run: next.run },
      {
        kind: "event",
        type: "Normal",
        reason: "Advance",
        message: describePosition(spec.plan, position, spec.canary),
      },
    ],
  };
}

/** A step that waited for a person goes on; it is stored before the action is taken away. */
function resume(state: State): Decision {
  if (!isAnalysed(state)) return { next: state, effects: [] };
  const { paused, ...run } = state.run;
  return paused ? { next: { ...state, run }, effects: [{ kind: "store" }] } : { next: state, effects: [] };
}

/** People name a revision by its first digits, with or without `v2:`. */
function isNamed(revision: string | undefined, name: string): boolean {
  if (revision === undefined || name === "") return false;
  return revision.startsWith(name) || revision.replace(/^v2:/, "").startsWith(name);
}
