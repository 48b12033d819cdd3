import type { ReplicaSet } from "../../../api/core.ts";
import type { RolloutLimits } from "./limits.ts";

export interface Scale {
  readonly replicaSet: ReplicaSet;
  readonly replicas: number;
}

/**
 * The next scalings of a rolling update: first the new ReplicaSet up, as far as the surge allows; where it may not
 * grow, the old ones down, as far as availability allows, their unready pods first.
 *
 * @param fresh the ReplicaSet of the current template
 * @param old the others, oldest first
 */
export function planRollingUpdate(
  fresh: ReplicaSet,
  old: readonly ReplicaSet[],
  replicas: number,
  limits: RolloutLimits,
): readonly Scale[] {
  const target = growNew(fresh, old, replicas, limits);
  if (target !== wanted(fresh)) return [{ replicaSet: fresh, replicas: target }];
  return shrinkOld(fresh, old, replicas, limits);
}

function growNew(
  fresh: ReplicaSet,
  old: readonly ReplicaSet[],
  replicas: number,
  { surge }: RolloutLimits,
): number {
  const current = wanted(fresh);
  if (current >= replicas) return replicas;
  const room = replicas + surge - sum([fresh, ...old], wanted);
  return room <= 0 ? current : current + Math.min(room, replicas - current);
}

function shrinkOld(
  fresh: ReplicaSet,
  old: readonly ReplicaSet[],
  replicas: number,
  { unavailable }: RolloutLimits,
): readonly Scale[] {
  const least = replicas - unavailable;
  const newUnavailable = wanted(fresh) - available(fresh);
  let room = sum([fresh, ...old], wanted) - least - newUnavailable;
  if (room <= 0) return [];

  const targets = new Map(old.map((replicaSet) => [replicaSet, wanted(replicaSet)]));
  for (const replicaSet of old) {
    const unhealthy = Math.min(
      room,
      wanted(replicaSet) - Math.min(available(replicaSet), wanted(replicaSet)),
    );
    targets.set(replicaSet, wanted(replicaSet) - unhealthy);
    room -= unhealthy;
  }
  let spare = Math.min(room, sum([fresh, ...old], available) - least);
  for (const replicaSet of old) {
    const current = targets.get(replicaSet) ?? 0;
    const less = Math.max(0, Math.min(spare, current));
    targets.set(replicaSet, current - less);
    spare -= less;
  }
  return [...targets].flatMap(([replicaSet, target]) =>
    target === wanted(replicaSet) ? [] : [{ replicaSet, replicas: target }],
  );
}

/** `spec.replicas`. */
export function wanted({ spec }: ReplicaSet): number {
  return spec?.replicas ?? 1;
}

export function available({ status }: ReplicaSet): number {
  return status?.availableReplicas ?? 0;
}

function sum(replicaSets: readonly ReplicaSet[], count: (replicaSet: ReplicaSet) => number): number {
  return replicaSets.reduce((total, replicaSet) => total + count(replicaSet), 0);
}
