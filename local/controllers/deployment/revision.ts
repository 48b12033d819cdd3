import type { Deployment, ReplicaSet } from "../../../api/core.ts";

export const revisionAnnotation = "deployment.kubernetes.io/revision";
export const desiredReplicasAnnotation = "deployment.kubernetes.io/desired-replicas";
export const maxReplicasAnnotation = "deployment.kubernetes.io/max-replicas";

/** Belong to the Deployment alone. */
const notCopied = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  revisionAnnotation,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
]);

/** The revision that a ReplicaSet carries; 0 where it has none. */
export function revisionOf({ metadata }: ReplicaSet | Deployment): number {
  return Number(metadata.annotations?.[revisionAnnotation] ?? 0) || 0;
}

/** The annotations of the current template's ReplicaSet: the Deployment's own, the revision, and what it was scaled for. */
export function replicaSetAnnotations(
  deployment: Deployment,
  revision: number,
  surge: number,
): Record<string, string> {
  const copied = Object.entries(deployment.metadata.annotations ?? {}).filter(
    ([name]) => !notCopied.has(name),
  );
  return {
    ...Object.fromEntries(copied),
    [revisionAnnotation]: String(revision),
    ...sizeAnnotations(deployment, surge),
  };
}

/** What a ReplicaSet is scaled for: by these a later change of `replicas` is noticed and shared out. */
export function sizeAnnotations({ spec }: Deployment, surge: number): Record<string, string> {
  const { replicas = 1 } = spec ?? {};
  return {
    [desiredReplicasAnnotation]: String(replicas),
    [maxReplicasAnnotation]: String(replicas + surge),
  };
}
