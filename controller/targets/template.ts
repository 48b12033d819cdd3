import type { PodTemplateSpec } from "../../api/core.ts";
import { primaryConfigName } from "../configs/copies.ts";
import { renameConfigs } from "../configs/references.ts";
import { promotionId, type Revision } from "../revision.ts";
import { primaryValue, type SelectorLabel } from "./selector.ts";

/** On the primary's pods: which promotion they come from, as Flagger writes it. */
export const promotionAnnotation = "flagger-id";

type PodSpec = NonNullable<PodTemplateSpec["spec"]>;
type LabelSelector = NonNullable<NonNullable<PodSpec["topologySpreadConstraints"]>[number]["labelSelector"]>;

export interface PrimarySource {
  /** The target's template as it was analysed. */
  readonly template: PodTemplateSpec;
  readonly revision: Revision;
  readonly selector: SelectorLabel;
  /** Name of the target. */
  readonly target: string;
  /** Keys (`configmap/<name>`, `secret/<name>`) of the configs that have a `-primary` copy. */
  readonly copied: ReadonlySet<string>;
  readonly selectorLabels: readonly string[];
}

/**
 * The primary's pod template: the target's, with the selector label's value, the names of copied configs and
 * the anti-affinity and spread selectors that mean the target itself suffixed by `-primary`.
 */
export function primaryTemplate(source: PrimarySource): PodTemplateSpec {
  const { template, revision, selector, target, copied, selectorLabels } = source;
  const renamed = renameConfigs(template, (kind, name) =>
    copied.has(`${kind}/${name}`) ? primaryConfigName(name) : name,
  );
  const withPrimarySelector = (labels: LabelSelector): LabelSelector =>
    retarget(labels, target, selectorLabels);
  return {
    ...renamed,
    metadata: {
      ...renamed.metadata,
      labels: { ...renamed.metadata?.labels, [selector.name]: primaryValue(selector) },
      annotations: { ...renamed.metadata?.annotations, [promotionAnnotation]: promotionId(revision) },
    },
    ...(renamed.spec && { spec: spread(renamed.spec, withPrimarySelector) }),
  };
}

function spread(spec: PodSpec, primary: (selector: LabelSelector) => LabelSelector): PodSpec {
  const anti = spec.affinity?.podAntiAffinity;
  return {
    ...spec,
    ...(spec.topologySpreadConstraints && {
      topologySpreadConstraints: spec.topologySpreadConstraints.map((constraint) =>
        constraint.labelSelector
          ? { ...constraint, labelSelector: primary(constraint.labelSelector) }
          : constraint,
      ),
    }),
    ...(anti && {
      affinity: {
        ...spec.affinity,
        podAntiAffinity: {
          ...anti,
          ...(anti.preferredDuringSchedulingIgnoredDuringExecution && {
            preferredDuringSchedulingIgnoredDuringExecution:
              anti.preferredDuringSchedulingIgnoredDuringExecution.map((preferred) => ({
                ...preferred,
                podAffinityTerm: term(preferred.podAffinityTerm, primary),
              })),
          }),
          ...(anti.requiredDuringSchedulingIgnoredDuringExecution && {
            requiredDuringSchedulingIgnoredDuringExecution:
              anti.requiredDuringSchedulingIgnoredDuringExecution.map((required) => term(required, primary)),
          }),
        },
      },
    }),
  };
}

function term<T extends { readonly labelSelector?: LabelSelector }>(
  affinity: T,
  primary: (selector: LabelSelector) => LabelSelector,
): T {
  return affinity.labelSelector ? { ...affinity, labelSelector: primary(affinity.labelSelector) } : affinity;
}

/** Where a selector label has the target's name as value, the primary's pods are meant. */
function retarget(selector: LabelSelector, target: string, names: readonly string[]): LabelSelector {
  return {
    ...selector,
    ...(selector.matchLabels && {
      matchLabels: Object.fromEntries(
        Object.entries(selector.matchLabels).map(([name, value]) => [
          name,
          names.includes(name) && value === target ? `${target}-primary` : value,
        ]),
      ),
    }),
    ...(selector.matchExpressions && {
      matchExpressions: selector.matchExpressions.map((expression) => ({
        ...expression,
        ...(names.includes(expression.key) &&
          expression.values && {
            values: expression.values.map((value) => (value === target ? `${target}-primary` : value)),
          }),
      })),
    }),
  };
}
