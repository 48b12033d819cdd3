import { decideAction } from "./action.ts";
import { canaryCookie } from "./affinity.ts";
import type { Decision } from "./effects.ts";
import { decideFinalising } from "./finalising.ts";
import { decideInitializing } from "./initializing.ts";
import type { Observation } from "./observation.ts";
import { decideProgressing } from "./progressing.ts";
import { decidePromoting } from "./promoting.ts";
import { decideResting } from "./resting.ts";
import type { DecisionSpec } from "./spec.ts";
import { liveRun, type State } from "./state.ts";
import { decideTerminating } from "./terminating.ts";
import { wantedTraffic } from "./traffic.ts";
import { decideWaiting } from "./waiting.ts";

/**
 * What a canary does next: its next state, and what must be done to get there. Pure, and total over phases.
 *
 * Called at every change, not at ticks alone: an answer to what a tick asked comes in `seen.measurement`.
 * What raises exposure is stored before it is done; a rollback is done before it is stored, so a crash in
 * between repeats the decision and never raises a weight.
 */
export function decide(state: State, seen: Observation, spec: DecisionSpec): Decision {
  if (seen.deleted) return decideTerminating(state, seen, spec);
  const decision = decideAction(state, seen, spec) ?? decidePhase(state, seen, spec);
  const next = withRescues(withPreviousCookie(state, decision.next, spec), seen);
  return { ...decision, next: withProvider(next, spec) };
}

function decidePhase(state: State, seen: Observation, spec: DecisionSpec): Decision {
  switch (state.phase) {
    case "Initializing":
      return decideInitializing(state, seen, spec);
    case "Initialized":
    case "Succeeded":
    case "Failed":
      return decideResting(state, seen, spec);
    case "Waiting":
      return decideWaiting(state, seen, spec);
    case "Progressing":
    case "WaitingPromotion":
      return decideProgressing(state, seen, spec);
    case "Promoting":
      return decidePromoting(state, seen, spec);
    case "Finalising":
      return decideFinalising(state, seen, spec);
    case "Terminating":
      return decideTerminating(state, seen, spec);
  }
}

/** Counts that come in after a run has ended are still its own. */
function withRescues(next: State, { rescues }: Observation): State {
  if (rescues === undefined) return next;
  const run = liveRun(next)?.run ?? ("closed" in next ? next.closed : undefined);
  return (run?.id ?? next.rescues?.run) === rescues.run ? { ...next, rescues } : next;
}

/** Remembered from the first status on: who left objects behind can be told when the Canary names another. */
function withProvider(next: State, { provider }: DecisionSpec): State {
  return next.provider === undefined ? { ...next, provider } : next;
}

/** Users of a canary that takes no more traffic keep its cookie: it is remembered, so that the route can take it back. */
function withPreviousCookie(state: State, next: State, spec: DecisionSpec): State {
  const { cookies } = spec;
  const before = liveRun(state)?.run;
  if (cookies === undefined || before === undefined) return next;
  if (wantedTraffic(state, spec).affinity === undefined) return next;
  const after = wantedTraffic(next, spec).affinity && liveRun(next)?.run;
  if (after?.id === before.id) return next;
  return { ...next, previousCookie: canaryCookie(before.id, cookies) };
}
