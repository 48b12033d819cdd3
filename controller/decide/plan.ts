import { nextWeight } from "../../analysis/judge/steps.ts";
import type { Strategy } from "../../api/canary/types.ts";
import type { Percent } from "../../lib/units.ts";
import type { GateType } from "./gates.ts";

/** How far a run has come; both are 0 before the canary gets anything. */
export interface Position {
  /** Percent of all requests; 0 in A/B testing and in blue/green's iterations, as Flagger counts. */
  readonly canaryWeight: Percent;
  /** Iterations begun (A/B testing, blue/green); 1 while a canary by weights is only mirrored to. */
  readonly iterations: number;
}

export const nowhere: Position = { canaryWeight: 0, iterations: 0 };

/** Whether the first step was taken. */
export function hasBegun({ canaryWeight, iterations }: Position): boolean {
  return canaryWeight > 0 || iterations > 0;
}

/**
 * The position after `at`; undefined at the last, where the next move is promotion.
 *
 * Blue/green ends with all traffic on the canary, analysed once more before it is promoted.
 */
export function nextPosition(plan: Strategy, at: Position): Position | undefined {
  const { canaryWeight, iterations } = at;
  switch (plan.kind) {
    case "weights": {
      if (plan.mirror && !hasBegun(at)) return { canaryWeight: 0, iterations: 1 };
      const weight = nextWeight(canaryWeight, plan.steps);
      return weight === undefined ? undefined : { canaryWeight: weight, iterations: 0 };
    }
    case "ab-testing":
      return iterations < plan.iterations ? { canaryWeight, iterations: iterations + 1 } : undefined;
    case "blue-green":
      if (canaryWeight >= 100) return undefined;
      return iterations < plan.iterations
        ? { canaryWeight, iterations: iterations + 1 }
        : { canaryWeight: 100, iterations: plan.iterations + 1 };
  }
}

/** Which gates stand before the next position; none within iterations. */
export function gateBefore(plan: Strategy, at: Position): GateType | undefined {
  const next = nextPosition(plan, at);
  if (next === undefined) return "confirm-promotion";
  if (plan.kind === "weights") return next.canaryWeight > 0 ? "confirm-traffic-increase" : undefined;
  return next.canaryWeight > at.canaryWeight ? "confirm-promotion" : undefined;
}

/** Flagger's words for a position that was reached. `canary`: `<name>.<namespace>`. */
export function describePosition(
  plan: Strategy,
  { canaryWeight, iterations }: Position,
  canary: string,
): string {
  if (plan.kind === "weights") return `Advance ${canary} canary weight ${canaryWeight}`;
  if (canaryWeight > 0) {
    const isMirrored = plan.kind === "blue-green" && plan.mirror !== undefined;
    return isMirrored
      ? "Stop traffic mirroring and route all traffic to canary"
      : "Routing all traffic to canary";
  }
  return `Advance ${canary} canary iteration ${iterations}/${plan.iterations}`;
}
