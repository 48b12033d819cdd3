import { type HorizontalPodAutoscaler, HorizontalPodAutoscalerKind } from "../../api/core.ts";
import type { AutoscalerRef } from "../../api/generated/canaries.ts";
import type { OwnerReference } from "../../api/resource.ts";
import type { Snapshot } from "../../kube/contract.ts";
import { canonicalJson } from "../revision.ts";
import type { Write } from "../write.ts";

/** What an autoscaler is aimed at. */
export interface ScaledWorkload {
  readonly kind: string;
  readonly name: string;
}

/**
 * The primary's own autoscaler, `<name>-primary`: the target's, aimed at the primary.
 *
 * Kept in step with the target's at any time, so that an edit needs no rollout.
 */
function buildPrimaryAutoscaler(
  source: HorizontalPodAutoscaler,
  { primaryScalerReplicas }: AutoscalerRef,
  primary: ScaledWorkload,
  owner: OwnerReference,
): HorizontalPodAutoscaler {
  const { spec, metadata } = source;
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
      ...(spec ?? { maxReplicas: 1 }),
      scaleTargetRef: { apiVersion: "apps/v1", ...primary },
      ...primaryScalerReplicas,
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
): readonly Write[] {
  const desired = buildPrimaryAutoscaler(source, ref, primary, owner);
  const { namespace, name } = desired.metadata;
  const existing = snapshot.get(HorizontalPodAutoscalerKind, namespace, name);
  if (existing === undefined) return [{ kind: "create", of: HorizontalPodAutoscalerKind, object: desired }];
  if (canonicalJson(existing.spec) === canonicalJson(desired.spec)) return [];
  const object = { ...existing, spec: desired.spec };
  return [{ kind: "replace", of: HorizontalPodAutoscalerKind, object }];
}
