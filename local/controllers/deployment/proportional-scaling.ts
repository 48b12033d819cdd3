import type { Deployment, ReplicaSet } from "../../../api/core.ts";
import type { RolloutLimits } from "./limits.ts";
import { desiredReplicasAnnotation, maxReplicasAnnotation } from "./revision.ts";
import { type Scale, wanted } from "./rolling-update.ts";

/** Whether `replicas` was changed since the ReplicaSets that serve were scaled. */
export function wasScaled({ spec }: Deployment, replicaSets: readonly ReplicaSet[]): boolean {
  const { replicas = 1 } = spec ?? {};
  return replicaSets.some((replicaSet) => {
    const desired = replicaSet.metadata.annotations?.[desiredReplicasAnnotation];
    return wanted(replicaSet) > 0 && desired !== undefined && Number(desired) !== replicas;
  });
}

/**
 * Carries a change of `replicas` to the ReplicaSets: to the one that serves, or to each by its share in the middle of a
 * rollout, so that none of the versions gets all of the risk. The rollout itself waits for the next round.
 *
 * @param fresh of the current template
 * @param old the others, oldest first
 * @see scale in kube-controller-manager's deployment controller
 */
export function planProportionalScaling(
  deployment: Deployment,
  fresh: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  { surge }: RolloutLimits,
): readonly Scale[] {
  const { replicas = 1 } = deployment.spec ?? {};
  const active = [...old, ...(fresh ? [fresh] : [])].filter((replicaSet) => wanted(replicaSet) > 0);
  if (active.length === 1) return active.map((replicaSet) => ({ replicaSet, replicas }));
  const most = replicas > 0 ? replicas + surge : 0;
  const toAdd = most - active.reduce((total, replicaSet) => total + wanted(replicaSet), 0);
  const ordered = active.toSorted(
    (a, b) => wanted(b) - wanted(a) || (toAdd > 0 ? newerFirst(a, b) : newerFirst(b, a)),
  );
  let added = 0;
  const scales = ordered.map((replicaSet) => {
    const share = shareOf(replicaSet, deployment, most);
    const left = toAdd - added;
    const change = toAdd > 0 ? Math.min(share, left) : Math.max(share, left);
    const own = toAdd === 0 || left === 0 ? 0 : change;
    added += own;
    return { replicaSet, replicas: wanted(replicaSet) + own };
  });
  // What rounding left goes to the largest.
  return scales.map((scale, index) =>
    index === 0 ? { ...scale, replicas: Math.max(0, scale.replicas + toAdd - added) } : scale,
  );
}

/** How many replicas more (or less) a ReplicaSet has by its share of what there was. */
function shareOf(replicaSet: ReplicaSet, { spec, status }: Deployment, most: number): number {
  const size = wanted(replicaSet);
  if ((spec?.replicas ?? 1) === 0) return -size;
  const before = Number(replicaSet.metadata.annotations?.[maxReplicasAnnotation]) || (status?.replicas ?? 0);
  return before === 0 ? 0 : Math.round((size * most) / before) - size;
}

function newerFirst(a: ReplicaSet, b: ReplicaSet): number {
  const [first = "", second = ""] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  return first === second ? 0 : first < second ? 1 : -1;
}
