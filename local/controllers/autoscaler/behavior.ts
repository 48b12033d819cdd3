import type { HorizontalPodAutoscaler } from "../../../api/core.ts";

type Rules = NonNullable<NonNullable<NonNullable<HorizontalPodAutoscaler["spec"]>["behavior"]>["scaleUp"]>;
type Policy = NonNullable<Rules["policies"]>[number];

/** What an autoscaler remembers, the oldest first; times are epoch milliseconds. */
export interface Memory {
  readonly recommendations: readonly { readonly at: number; readonly replicas: number }[];
  /** Changes of scale that were made: above zero up, below down. */
  readonly changes: readonly { readonly at: number; readonly by: number }[];
}

export interface Limited {
  readonly replicas: number;
  readonly stabilized?: { readonly reason: string; readonly message: string };
  readonly limited: { readonly reason: string; readonly message: string };
}

export interface BehaviorInput {
  readonly behavior: NonNullable<HorizontalPodAutoscaler["spec"]>["behavior"] | undefined;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly current: number;
  readonly desired: number;
  readonly memory: Memory;
  /** Epoch milliseconds. */
  readonly now: number;
}

const upDefaults: Required<Rules> = {
  stabilizationWindowSeconds: 0,
  selectPolicy: "Max",
  policies: [
    { type: "Pods", value: 4, periodSeconds: 15 },
    { type: "Percent", value: 100, periodSeconds: 15 },
  ],
  tolerance: "0.1",
};
const downDefaults: Required<Rules> = {
  ...upDefaults,
  stabilizationWindowSeconds: 300,
  policies: [{ type: "Percent", value: 100, periodSeconds: 15 }],
};

/** The longest window and period that the API allows: older memories do not matter. */
export const longestMemory = 3_600_000;

/**
 * Holds a recommendation back: to what was recommended within the stabilization windows, to the policies' speed, to the
 * least and most replicas.
 *
 * @see HorizontalPodAutoscalerBehavior in autoscaling/v2
 */
export function limitReplicas(input: BehaviorInput): Limited {
  const { behavior, minReplicas, maxReplicas, current, desired } = input;
  const up = { ...upDefaults, ...behavior?.scaleUp };
  const down = { ...downDefaults, ...behavior?.scaleDown };
  const stable = stabilize(input, up, down);
  const stabilized = stable === desired ? {} : { stabilized: stabilization(desired, stable) };
  if (stable > current) {
    const limit = Math.max(current, speedLimit(input, up, "up"));
    const most = Math.min(maxReplicas, limit);
    if (stable <= most) return { replicas: stable, ...stabilized, limited: within };
    return { replicas: most, ...stabilized, limited: limit < maxReplicas ? tooFastUp : tooMany };
  }
  if (stable < current) {
    const limit = Math.min(current, speedLimit(input, down, "down"));
    const least = Math.max(minReplicas, limit);
    if (stable >= least) return { replicas: stable, ...stabilized, limited: within };
    return { replicas: least, ...stabilized, limited: limit > minReplicas ? tooFastDown : tooFew };
  }
  return { replicas: stable, ...stabilized, limited: within };
}

function stabilize({ current, desired, memory, now }: BehaviorInput, up: Rules, down: Rules): number {
  const since = ({ stabilizationWindowSeconds = 0 }: Rules) =>
    memory.recommendations
      .filter(({ at }) => at > now - stabilizationWindowSeconds * 1000)
      .map(({ replicas }) => replicas);
  const lowest = Math.min(desired, ...since(up));
  const highest = Math.max(desired, ...since(down));
  return Math.min(Math.max(current, lowest), highest);
}

/** How far the policies let the scale go now, seen from where it stood at the start of each policy's period. */
function speedLimit(
  { current, memory, now }: BehaviorInput,
  { selectPolicy, policies = [] }: Rules,
  direction: "up" | "down",
): number {
  if (selectPolicy === "Disabled") return current;
  const limits = policies.map((policy) => {
    const moved = memory.changes
      .filter(({ at }) => at > now - policy.periodSeconds * 1000)
      .reduce((sum, { by }) => sum + by, 0);
    return limitOf(policy, current - moved, direction);
  });
  if (limits.length === 0) return current;
  const most = (selectPolicy ?? "Max") !== "Min";
  return (direction === "up") === most ? Math.max(...limits) : Math.min(...limits);
}

function limitOf({ type, value }: Policy, start: number, direction: "up" | "down"): number {
  if (type === "Pods") return direction === "up" ? start + value : start - value;
  return direction === "up" ? Math.ceil(start * (1 + value / 100)) : Math.floor(start * (1 - value / 100));
}

function stabilization(desired: number, stable: number): { reason: string; message: string } {
  return desired < stable
    ? {
        reason: "ScaleDownStabilized",
        message:
          "recent recommendations were higher than current one, applying the highest recent recommendation",
      }
    : {
        reason: "ScaleUpStabilized",
        message:
          "recent recommendations were lower than current one, applying the lowest recent recommendation",
      };
}

const within = {
  reason: "DesiredWithinRange",
  message: "the desired count is within the acceptable range",
};
const tooFastUp = {
  reason: "ScaleUpLimit",
  message: "the desired replica count is increasing faster than the maximum scale rate",
};
const tooFastDown = {
  reason: "ScaleDownLimit",
  message: "the desired replica count is decreasing faster than the maximum scale rate",
};
const tooMany = {
  reason: "TooManyReplicas",
  message: "the desired replica count is more than the maximum replica count",
};
const tooFew = {
  reason: "TooFewReplicas",
  message: "the desired replica count is less than the minimum replica count",
};
