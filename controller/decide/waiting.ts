import type { Decision } from "./effects.ts";
import type { Observation } from "./observation.ts";
import { considerRevision, keepObjects, keepSafe } from "./resting.ts";
import type { DecisionSpec } from "./spec.ts";
import type { Waiting } from "./state.ts";

/** A new revision stands before its confirm-rollout gates, which are asked again each interval. */
export function decideWaiting(state: Waiting, seen: Observation, spec: DecisionSpec): Decision {
  return keepSafe(state, seen) ?? keepObjects(state, seen, spec) ?? considerRevision(state, seen, spec);
}
