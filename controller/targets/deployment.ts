import type { Deployment } from "../../api/core.ts";
import type { OwnerReference } from "../../api/resource.ts";
import type { JsonPatchOperation } from "../../kube/contract.ts";
import { promotionId, type Revision } from "../revision.ts";
import { primaryValue } from "./selector.ts";
import { type PrimarySource, primaryTemplate, promotionAnnotation } from "./template.ts";

function primaryName(target: string): string {
  return `${target}-primary`;
}

/** Labels or annotations of a target that are copied: keys that begin with one of `prefixes` (`*` = all), never Flux's own. */
export function copiedKeys(
  map: Readonly<Record<string, string>> | undefined,
  prefixes: readonly string[],
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(map ?? {}).filter(
      ([key]) =>
        !key.includes("toolkit.fluxcd.io") &&
        prefixes.some((prefix) => prefix === "*" || key.startsWith(prefix)),
    ),
  );
}

/** Written by `kubectl apply` and by the Deployment controller about the target itself: they would lie on the primary. */
const ownAnnotations = [
  "kubectl.kubernetes.io/last-applied-configuration",
  "deployment.kubernetes.io/revision",
];

/**
 * The primary Deployment of a target, as it is first made.
 *
 * Its `matchLabels` hold the selector label alone, as Flagger's do.
 */
export function buildPrimary(
  target: Deployment,
  source: PrimarySource,
  owner: OwnerReference,
  includeLabelPrefixes: readonly string[],
): Deployment {
  const { selector } = source;
  const label = { [selector.name]: primaryValue(selector) };
  const annotations = Object.fromEntries(
    Object.entries(copiedKeys(target.metadata.annotations, ["*"])).filter(
      ([key]) => !ownAnnotations.includes(key),
    ),
  );
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      name: primaryName(target.metadata.name),
      ...(target.metadata.namespace !== undefined && { namespace: target.metadata.namespace }),
      labels: { ...copiedKeys(target.metadata.labels, includeLabelPrefixes), ...label },
      ...(Object.keys(annotations).length > 0 && { annotations }),
      ownerReferences: [owner],
    },
    spec: {
      ...rolloutFields(target),
      replicas: target.spec?.replicas || 1,
      selector: { matchLabels: label },
      template: primaryTemplate(source),
    },
  };
}

/**
 * Rolls the primary to an analysed revision: its template, and how the target wants to be rolled.
 *
 * `replicas` is set only where no autoscaler owns it.
 */
export function promotePatch(
  target: Deployment | undefined,
  source: PrimarySource,
  replicas: number | undefined,
): readonly JsonPatchOperation[] {
  return [
    { op: "add", path: "/spec/template", value: primaryTemplate(source) },
    ...Object.entries(target ? rolloutFields(target) : {}).map(
      ([field, value]): JsonPatchOperation => ({ op: "add", path: `/spec/${field}`, value }),
    ),
    ...(replicas === undefined ? [] : [{ op: "add", path: "/spec/replicas", value: replicas } as const]),
  ];
}

/** Whether a primary's template was made from `revision`. */
export function hasRevision(primary: Deployment, revision: Revision): boolean {
  return primary.spec?.template.metadata?.annotations?.[promotionAnnotation] === promotionId(revision);
}

/**
 * How many replicas the target gets when a run begins: what it has, else what the primary has (where no
 * autoscaler is named), else the autoscaler's minimum above 1, else 1.
 */
export function replicasForRun(
  target: Deployment,
  primary: Deployment | undefined,
  autoscaler: { readonly minReplicas?: number } | undefined,
): number {
  const now = target.spec?.replicas ?? 1;
  if (now > 0) return now;
  if (autoscaler === undefined) return Math.max(primary?.spec?.replicas ?? 1, 1);
  return Math.max(autoscaler.minReplicas ?? 1, 1);
}

function rolloutFields(target: Deployment) {
  const { progressDeadlineSeconds, minReadySeconds, revisionHistoryLimit, strategy } = target.spec ?? {};
  return {
    ...(progressDeadlineSeconds !== undefined && { progressDeadlineSeconds }),
    ...(minReadySeconds !== undefined && { minReadySeconds }),
    ...(revisionHistoryLimit !== undefined && { revisionHistoryLimit }),
    ...(strategy !== undefined && { strategy }),
  };
}
