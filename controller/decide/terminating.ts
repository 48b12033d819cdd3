import type { Decision } from "./effects.ts";
import type { Observation } from "./observation.ts";
import type { DecisionSpec } from "./spec.ts";
import { remembered, type State, type Terminating } from "./state.ts";

/**
 * The Canary is being deleted. With revertOnDeletion the target gets its pods back first, and when they are ready
 * the Service and the route are given back; without it there is nothing to wait for.
 */
export function decideTerminating(state: State, seen: Observation, spec: DecisionSpec): Decision {
  const next: Terminating = { ...remembered(state), phase: "Terminating" };
  if (!spec.revertOnDeletion || seen.target.kind === "missing") {
    return { next, effects: [{ kind: "remove-finalizer" }] };
  }
  const { target, primary } = seen;
  if (target.replicas === 0) {
    const replicas = primary.kind === "present" ? Math.max(primary.replicas, 1) : 1;
    return {
      next,
      effects: [
        { kind: "store" },
        {
          kind: "event",
          type: "Normal",
          reason: "Terminating",
          message: `Terminating canary ${spec.canary}`,
        },
        { kind: "scale-target", replicas },
      ],
    };
  }
  if (target.kind === "present" && target.readiness.kind === "waiting") {
    return { next, effects: [{ kind: "store" }], again: 1000 };
  }
  return {
    next,
    effects: [
      { kind: "revert" },
      { kind: "event", type: "Normal", reason: "Terminated", message: `Terminated canary ${spec.canary}` },
      { kind: "remove-finalizer" },
    ],
  };
}
