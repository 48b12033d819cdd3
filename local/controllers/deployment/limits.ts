import type { Deployment } from "../../../api/core.ts";

export interface RolloutLimits {
  /** Pods above `replicas` at most. */
  readonly surge: number;
  /** Pods below `replicas` at most. */
  readonly unavailable: number;
}

/**
 * maxSurge and maxUnavailable as numbers of pods: percentages of `replicas`, surge rounded up, unavailable down.
 *
 * Both zero would never end, so one pod may then be unavailable.
 * @see DeploymentSpec.strategy.rollingUpdate; 25 % each by default
 */
export function rolloutLimits({ spec }: Deployment): RolloutLimits {
  const { replicas = 1, strategy } = spec ?? {};
  if (strategy?.type === "Recreate") return { surge: 0, unavailable: replicas };
  const surge = resolveCount(strategy?.rollingUpdate?.maxSurge ?? "25%", replicas, Math.ceil);
  const unavailable = resolveCount(strategy?.rollingUpdate?.maxUnavailable ?? "25%", replicas, Math.floor);
  if (surge === 0 && unavailable === 0) return { surge: 0, unavailable: Math.min(1, replicas) };
  return { surge, unavailable: Math.min(unavailable, replicas) };
}

function resolveCount(value: unknown, replicas: number, round: (share: number) => number): number {
  const text = String(value);
  const count = text.endsWith("%") ? round((Number(text.slice(0, -1)) * replicas) / 100) : Number(text);
  return Number.isFinite(count) ? Math.max(0, count) : 0;
}
