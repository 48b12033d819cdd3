import type { ReadCanary } from "../../api/canary/types.ts";
import type { AutoscalerRef } from "../../api/generated/canaries.ts";
import type { Kind, KubeObject, OwnerReference } from "../../api/resource.ts";
import type { Snapshot } from "../../kube/contract.ts";
import { sameJson } from "../revision.ts";
import { copiedKeys } from "../targets/copied-keys.ts";
import { annotationOperations, type Write } from "../write.ts";

/** KEDA's ScaledObject (keda.sh/v1alpha1), as far as the controller reads it; what it does not is copied as it stands. */
export interface ScaledObject extends KubeObject {
  readonly spec?: ScaledObjectSpec;
}

interface ScaledObjectSpec {
  readonly scaleTargetRef: { readonly name: string };
  /** Default 0. */
  readonly minReplicaCount?: number;
  /** Default 100. */
  readonly maxReplicaCount?: number;
  /** Where no trigger is active; below the minimum. */
  readonly idleReplicaCount?: number;
  readonly triggers?: readonly Trigger[];
  readonly advanced?: { readonly horizontalPodAutoscalerConfig?: { readonly name?: string } };
}

interface Trigger {
  readonly name?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export const ScaledObjectKind: Kind<ScaledObject> = {
  group: "keda.sh",
  version: "v1alpha1",
  kind: "ScaledObject",
  plural: "scaledobjects",
  namespaced: true,
};

/** While it holds a number, KEDA keeps the target at that many pods, whatever its triggers say. */
const pausedReplicas = "autoscaling.keda.sh/paused-replicas";
/** KEDA's default of `maxReplicaCount`. */
export const mostByDefault = 100;

/** The ScaledObject that a Canary names; undefined where it names none, or one that is not there. */
export function scaledObjectOf(
  { autoscaler, namespace }: ReadCanary,
  snapshot: Snapshot,
): ScaledObject | undefined {
  if (autoscaler?.kind !== "ScaledObject") return undefined;
  return snapshot.get(ScaledObjectKind, namespace, autoscaler.name);
}

/**
 * What must be written so that KEDA keeps the target at 0 between runs, or scales it again; nothing where it does.
 *
 * @see https://keda.sh/docs/latest/concepts/scaling-deployments/#pausing-autoscaling
 */
export function pauseWrite(source: ScaledObject | undefined, paused: boolean): Write | undefined {
  if (source === undefined) return undefined;
  const { namespace = "default", name, annotations } = source.metadata;
  const operations = annotationOperations(annotations, { [pausedReplicas]: paused ? "0" : undefined });
  if (operations.length === 0) return undefined;
  return { kind: "patch", of: ScaledObjectKind, namespace, name, operations };
}

/**
 * What must be written for the primary's own ScaledObject, `<name>-primary`, to stand: the target's, aimed at the
 * primary, its queries asking for the primary. Kept in step at any time.
 *
 * `least`: pods that the primary is kept at while a run lives, within its maximum.
 */
export function primaryScaledObjectWrite(
  source: ScaledObject,
  { autoscaler, names }: ReadCanary,
  owner: OwnerReference,
  snapshot: Snapshot,
  least = 0,
): readonly Write[] {
  if (autoscaler === undefined || source.spec === undefined) return [];
  const target = { canary: names.canaryWorkload, primary: names.primaryWorkload };
  const spec = primarySpec(source.spec, autoscaler, target, least);
  const { namespace, labels, annotations } = source.metadata;
  const name = `${source.metadata.name}-primary`;
  const existing = snapshot.get(ScaledObjectKind, namespace, name);
  if (existing !== undefined) {
    if (sameJson(existing.spec, spec)) return [];
    return [{ kind: "replace", of: ScaledObjectKind, object: { ...existing, spec } as ScaledObject }];
  }
  const object: ScaledObject = {
    apiVersion: source.apiVersion,
    kind: source.kind,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      labels: without(labels, (key) => key.startsWith("scaledobject.keda.sh/")),
      annotations: without(
        annotations,
        (key) => key === pausedReplicas || key.startsWith("kubectl.kubernetes.io/"),
      ),
      ownerReferences: [owner],
    },
    spec,
  };
  return [{ kind: "create", of: ScaledObjectKind, object }];
}

interface Versions {
  readonly canary: string;
  readonly primary: string;
}

function primarySpec(
  source: ScaledObjectSpec,
  { primaryScalerReplicas, primaryScalerQueries = {} }: AutoscalerRef,
  target: Versions,
  least: number,
): ScaledObjectSpec {
  const { idleReplicaCount, ...spec } = source;
  const min = primaryScalerReplicas?.minReplicas ?? source.minReplicaCount;
  const max = primaryScalerReplicas?.maxReplicas ?? source.maxReplicaCount;
  const floor = Math.min(Math.max(min ?? 0, least), max ?? mostByDefault);
  const raised = floor > (min ?? 0);
  const count = raised ? floor : min;
  const { advanced } = source;
  const hpa = advanced?.horizontalPodAutoscalerConfig;
  return {
    ...spec,
    scaleTargetRef: { ...source.scaleTargetRef, name: target.primary },
    ...(count !== undefined && { minReplicaCount: count }),
    ...(max !== undefined && { maxReplicaCount: max }),
    // Idle is below the minimum: it would undo the floor.
    ...(idleReplicaCount !== undefined && !raised && { idleReplicaCount }),
    ...(source.triggers && {
      triggers: source.triggers.map((trigger) => primaryTrigger(trigger, primaryScalerQueries, target)),
    }),
    ...(hpa?.name && {
      advanced: { ...advanced, horizontalPodAutoscalerConfig: { ...hpa, name: `${hpa.name}-primary` } },
    }),
  };
}

function primaryTrigger(
  trigger: Trigger,
  queries: Readonly<Record<string, string>>,
  target: Versions,
): Trigger {
  const query = trigger.metadata?.query;
  if (query === undefined) return trigger;
  const given = trigger.name === undefined ? undefined : queries[trigger.name];
  return { ...trigger, metadata: { ...trigger.metadata, query: given ?? primaryQuery(query, target) } };
}

/**
 * A query that asks for the primary where it asked for the target or its canary Service, as Flagger rewrites it; but a
 * name that only ends in the target's (`bookshop` for `shop`) or goes on with letters is another's.
 */
function primaryQuery(query: string, { canary, primary }: Versions): string {
  const name = canary.replaceAll(".", "\\.");
  return query.replaceAll(
    new RegExp(`(?<![A-Za-z0-9-])${name}(-canary|-primary)?(?![A-Za-z0-9])`, "g"),
    primary,
  );
}

function without(
  map: Readonly<Record<string, string>> | undefined,
  isLeftOut: (key: string) => boolean,
): Record<string, string> {
  const copied = copiedKeys(map, ["*"]);
  return Object.fromEntries(Object.entries(copied).filter(([key]) => !isLeftOut(key)));
}
