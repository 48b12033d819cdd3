import type { Decision, Notice } from "./effects.ts";
import type { TargetObservation } from "./observation.ts";
import type { DecisionSpec } from "./spec.ts";
import type { State } from "./state.ts";

/** Why a target that is missing or cannot be driven holds everything. */
export function targetNotice(
  target: Exclude<TargetObservation, { kind: "present" }>,
  spec: DecisionSpec,
): Notice {
  return target.kind === "missing"
    ? { reason: "TargetNotFound", message: `${spec.target}: ${target.message}`, stalled: true }
    : { reason: "TargetUnusable", message: `${spec.target}: ${target.message}`, stalled: true };
}

/** An analysis that could find nothing out is not begun. */
export function templateNotice(message: string): Notice {
  return { reason: "TemplateNotFound", message, stalled: true };
}

/** Flagger's words for a canary whose pods are not there yet. */
export function notReady(message: string, spec: DecisionSpec): Notice {
  return {
    reason: "CanaryNotReady",
    message: `canary ${spec.targetKind.toLowerCase()} ${spec.target} not ready: ${message}`,
    stalled: false,
  };
}

/** Milliseconds in which pods usually come up; Flagger says that they are missing at its next tick, ten seconds or more. */
const comingUp = 5000;

/**
 * Waits for pods that were asked for at `since`. While they come up what is missing changes several times a second, a
 * status and an event each: a person is told when it takes longer than usual.
 */
export function waitForPods(
  next: State,
  notice: Notice,
  { since, now }: { readonly since: number; readonly now: number },
): Decision {
  const left = Math.min(since + comingUp - now, comingUp);
  const effects = [{ kind: "store" }] as const;
  return left > 0 ? { next, effects, again: left } : { next, effects, notice };
}
