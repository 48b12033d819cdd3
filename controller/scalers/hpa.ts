import { type HorizontalPodAutoscaler, HorizontalPodAutoscalerKind } from "../../api/core.ts";
import type { AutoscalerRef } from "../../api/generated/canaries.ts";
import type { OwnerReference } from "../../api/resource.ts";
import type { Snapshot } from "../../kube/contract.ts";
import { sameJson } from "../revision.ts";
import type { Write } from "../write.ts";

/** What an autoscaler is aimed at. */
export interface ScaledWorkload {
  readonly kind: string;
  readonly name: string;
}

/**
 * The primary's own autoscaler, `<name>-primary`: the target's, aimed at the primary.
 *
 * Kept in step with the target's at any time, so that an edit needs no rollout. `least`: pods that it is kept at while a
 * run lives, within its maximum.
 */
function buildPrimaryAutoscaler(
  source: HorizontalPodAutoscaler,
  { primaryScalerReplicas }: AutoscalerRef,
  primary: ScaledWorkload,
  owner: OwnerReference,
  least: number,
): HorizontalPodAutoscaler {
  const { metadata } = source;
  const spec = { ...(source.spec ?? { maxReplicas: 1 }), ...primaryScalerReplicas };
  const floor = Math.min(Math.max(spec.minReplicas ?? 1, least), spec.maxReplicas);
  return {
    apiVersion: source.apiVersion,
    kind: source.kind,
    metadata: {
      name: `${metadata.name}-primary`,
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
      ...(metadata.labels && { labels: metadata.labels }),
      ownerReferences: [owner],
    },
    spec: {
      ...spec,
      ...(floor !== (spec.minReplicas ?? 1) && { minReplicas: floor }),
      scaleTargetRef: { apiVersion: "apps/v1", ...primary },
    },
  };
}

/** What must be written for the primary's autoscaler to stand; nothing where it does. */
export function primaryAutoscalerWrite(
  source: HorizontalPodAutoscaler,
  ref: AutoscalerRef,
  primary: ScaledWorkload,
  owner: OwnerReference,
  snapshot: Snapshot,
  least = 0,
): readonly Write[] {
  const desired = buildPrimaryAutoscaler(source, ref, primary, owner, least);
  const { namespace, name } = desired.metadata;
  const existing = snapshot.get(HorizontalPodAutoscalerKind, namespace, name);
  if (existing === undefined) return [{ kind: "create", of: HorizontalPodAutoscalerKind, object: desired }];
  if (sameJson(existing.spec, desired.spec)) return [];
  const object = { ...existing, spec: desired.spec };
  return [{ kind: "replace", of: HorizontalPodAutoscalerKind, object }];
}
