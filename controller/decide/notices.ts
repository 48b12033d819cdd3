import type { Notice } from "./effects.ts";
import type { TargetObservation } from "./observation.ts";
import type { DecisionSpec } from "./spec.ts";

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
