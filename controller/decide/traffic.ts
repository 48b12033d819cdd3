import type { Strategy } from "../../api/canary/types.ts";
import type { Percent } from "../../lib/units.ts";
import { type Affinity, affinityOf } from "./affinity.ts";
import type { Position } from "./plan.ts";
import type { DecisionSpec } from "./spec.ts";
import type { State } from "./state.ts";

/** What of the requests reaches the canary: all that a route carries, apart from what the user's spec says. */
export interface Traffic {
  /** Percent of those requests that take part: of all, or of those that fit `analysis.match`. */
  readonly canaryWeight: Percent;
  /** Percent of the requests of which a copy goes to the canary, answers unseen. */
  readonly mirror: Percent;
  /** Whether requests that fit `analysis.preview` reach the canary at any weight. */
  readonly preview: boolean;
  /** Which users stay where; absent where nobody is told apart. */
  readonly affinity?: Affinity;
  /** `name=value` of the cookie that the last run gave its users, to be taken back from them. */
  readonly expired?: string;
  /** How many pods the primary is kept at least meanwhile, whatever its scaler sees. */
  readonly primaryReplicas?: number;
  /** The target needs no pods until the next run: what scales it is to leave it at none. */
  readonly targetRests?: true;
}

/** Nothing for the canary, and nobody told apart. */
export const idleTraffic: Traffic = { canaryWeight: 0, mirror: 0, preview: false };

/** What the route of a canary in this state is to carry. */
export function wantedTraffic(state: State, spec: Pick<DecisionSpec, "plan" | "cookies">): Traffic {
  const { plan, cookies } = spec;
  const expired = cookies && state.previousCookie;
  const idle: Traffic = { ...idleTraffic, ...(expired && { expired }) };
  switch (state.phase) {
    case "Progressing":
    case "WaitingPromotion":
    case "Promoting": {
      const traffic = { ...idle, ...splitAt(plan, state) };
      const { primaryReplicas } = state.run;
      const begun = traffic.canaryWeight > 0 || state.iterations > 0;
      const sticky = cookies !== undefined && plan.kind === "weights" && traffic.canaryWeight > 0;
      return {
        ...traffic,
        preview: begun,
        ...(primaryReplicas !== undefined && { primaryReplicas }),
        ...(sticky && { affinity: affinityOf(state.run.id, traffic.canaryWeight, plan.steps, cookies) }),
      };
    }
    case "Initialized":
    case "Succeeded":
    case "Failed":
      return state.cleanup.includes("scale-down") ? idle : { ...idle, targetRests: true };
    case "Waiting":
      return { ...idle, targetRests: true };
    case "Initializing":
    case "Terminating":
      return idle;
    case "Finalising": {
      const { primaryReplicas } = state.run;
      return { ...idle, ...(primaryReplicas !== undefined && { primaryReplicas }) };
    }
  }
}

/** Whether users' requests reach the canary in this state; copies of them do not count. */
export function takesTraffic(plan: Strategy, at: Position): boolean {
  return splitAt(plan, at).canaryWeight > 0;
}

function splitAt(plan: Strategy, { canaryWeight, iterations }: Position) {
  switch (plan.kind) {
    case "weights":
      return { canaryWeight, mirror: canaryWeight === 0 && iterations > 0 ? (plan.mirror?.weight ?? 0) : 0 };
    case "ab-testing":
      return { canaryWeight: iterations > 0 ? 100 : 0, mirror: 0 };
    case "blue-green":
      return { canaryWeight, mirror: canaryWeight === 0 && iterations > 0 ? (plan.mirror?.weight ?? 0) : 0 };
  }
}
