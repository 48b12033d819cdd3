import type { Decision, Effect } from "./effects.ts";
import type { Observation } from "./observation.ts";
import { nowhere } from "./plan.ts";
import { withFormerPrimary } from "./promoting.ts";
import { finishRollback } from "./roll-back.ts";
import { type DecisionSpec, hooksOf } from "./spec.ts";
import { type Finalising, type Resting, remembered } from "./state.ts";

/** All traffic is the primary's. The canary's pods go when no proxy sends to them any more; then the run is closed. */
export function decideFinalising(state: Finalising, seen: Observation, spec: DecisionSpec): Decision {
  const { run } = state;
  const { route, target } = seen;
  // A rollback that the guard wrote while the traffic went over.
  const ended = finishRollback({ ...state, ...nowhere, phase: "Promoting", failedChecks: 0 }, seen, spec);
  if (ended !== undefined) return withFormerPrimary(state, seen, ended);
  if (route.kind === "present" && !route.asWanted) {
    return { next: state, effects: [{ kind: "set-traffic", run }] };
  }
  if (seen.drainsIn > 0) return { next: state, effects: [{ kind: "store" }], again: seen.drainsIn };
  const { failure: _before, ...rest } = remembered(state);
  const next: Resting = {
    ...rest,
    phase: "Succeeded",
    applied: run.revision,
    promoted: run.revision,
    ...(target.kind === "present" && target.revision === run.revision && { fence: target.fence }),
    ...(hooksOf(spec, "post-rollout").length > 0
      ? { closed: run, cleanup: ["post-rollout"] }
      : { cleanup: [] }),
  };
  const scaleDown: readonly Effect[] =
    target.kind === "missing" || target.replicas === 0 ? [] : [{ kind: "scale-target", replicas: 0 }];
  const message = spec.skipAnalysis
    ? `Promotion completed! Canary analysis was skipped for ${spec.target}`
    : `Promotion completed! Scaling down ${spec.target}`;
  return {
    next,
    effects: [
      ...scaleDown,
      { kind: "store" },
      { kind: "event", type: "Normal", reason: "Promoted", message },
      {
        kind: "alert",
        severity: "info",
        message: spec.skipAnalysis
          ? "Canary analysis was skipped, promotion finished."
          : "Canary analysis completed successfully, promotion finished.",
      },
      { kind: "count-run", outcome: "promoted", run },
    ],
  };
}
