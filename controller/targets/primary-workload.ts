import type { OwnerReference } from "../../api/resource.ts";
import type { JsonPatchOperation } from "../../kube/contract.ts";
import { promotionId, type Revision } from "../revision.ts";
import { copiedKeys } from "./copied-keys.ts";
import type { Target, TargetKind, Workload } from "./kind.ts";
import { primaryValue } from "./selector.ts";
import { isService, presentService } from "./service.ts";
import { type PrimarySource, primaryTemplate, promotionAnnotation } from "./template.ts";

/** Written by `kubectl apply` and by the Deployment controller about the target itself: they would lie on the primary. */
const ownAnnotations = [
  "kubectl.kubernetes.io/last-applied-configuration",
  "deployment.kubernetes.io/revision",
];

/** What is made of a target once. */
export interface FirstPrimary {
  readonly kind: TargetKind;
  readonly name: string;
  /** The primary's Service. */
  readonly service: string;
  readonly source: PrimarySource;
  readonly owner: OwnerReference;
  readonly includeLabelPrefixes: readonly string[];
}

/**
 * The primary of a target, as it is first made: a workload of the same kind.
 *
 * Its `matchLabels` hold the selector label alone, as Flagger's do.
 */
export function buildPrimary(
  target: Workload,
  { kind, name, service, source, owner, includeLabelPrefixes }: FirstPrimary,
): Workload {
  const { selector } = source;
  const label = { [selector.name]: primaryValue(selector) };
  const annotations = Object.fromEntries(
    Object.entries(copiedKeys(target.metadata.annotations, ["*"])).filter(
      ([key]) => !ownAnnotations.includes(key),
    ),
  );
  const { namespace } = target.metadata;
  const metadata = {
    name,
    ...(namespace !== undefined && { namespace }),
    labels: { ...copiedKeys(target.metadata.labels, includeLabelPrefixes), ...label },
    ...(Object.keys(annotations).length > 0 && { annotations }),
    ownerReferences: [owner],
  };
  const spec = {
    ...given({ ...kind.rolloutFields(target), ...kind.firstFields(target, service) }),
    // A DaemonSet has none.
    ...(kind.kind.kind !== "DaemonSet" && { replicas: kind.replicas(target) || 1 }),
    selector: { matchLabels: label },
    template: primaryTemplate(source),
  };
  return { apiVersion: "apps/v1", kind: kind.kind.kind, metadata, spec };
}

/**
 * Rolls the primary to an analysed revision: its template, and how the target wants to be rolled.
 *
 * `replicas` is set only where no autoscaler owns it.
 */
export function promotePatch(
  kind: TargetKind,
  target: Workload | undefined,
  source: PrimarySource,
  replicas: number | undefined,
): readonly JsonPatchOperation[] {
  return [
    { op: "add", path: "/spec/template", value: primaryTemplate(source) },
    ...Object.entries(given(target ? kind.rolloutFields(target) : {})).map(
      ([field, value]): JsonPatchOperation => ({ op: "add", path: `/spec/${field}`, value }),
    ),
    ...(replicas === undefined || kind.kind.kind === "DaemonSet"
      ? []
      : [{ op: "add", path: "/spec/replicas", value: replicas } as const]),
  ];
}

/** Whether a primary's template was made from `revision`. */
export function hasRevision(primary: Target, revision: Revision): boolean {
  const promotion = isService(primary)
    ? presentService(primary).promotion
    : primary.spec?.template.metadata?.annotations?.[promotionAnnotation];
  return promotion === promotionId(revision);
}

/**
 * How many replicas the target gets when a run begins: what it has, else what the primary has (where no
 * autoscaler is named), else the autoscaler's minimum above 1, else 1.
 */
export function replicasForRun(
  kind: TargetKind,
  target: Target,
  primary: Target | undefined,
  autoscalerMinimum: number | undefined,
): number {
  const now = kind.replicas(target);
  if (now > 0) return now;
  if (autoscalerMinimum === undefined) return Math.max(primary ? kind.replicas(primary) : 1, 1);
  return Math.max(autoscalerMinimum, 1);
}

function given(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
