import type { PersistentVolumeClaim, Pod, PodTemplateSpec, StatefulSet } from "../../../api/core.ts";
import { StatefulSetKind } from "../../../api/core.ts";
import { controllerReference } from "../pod-facts.ts";
import { revisionLabel } from "../revision-history.ts";

const podNameLabel = "statefulset.kubernetes.io/pod-name";
const podIndexLabel = "apps.kubernetes.io/pod-index";

/** The ordinal in a pod's name; -1 for one that is not of this set's. */
export function ordinalOf({ metadata: set }: StatefulSet, { metadata }: Pick<Pod, "metadata">): number {
  const [, name, ordinal] = /^(.*)-(\d+)$/.exec(metadata.name) ?? [];
  return name === set.name ? Number(ordinal) : -1;
}

/** The pod of one ordinal: a name, a hostname and claims that stay, from the template of a revision. */
export function podOfSet(
  set: StatefulSet,
  ordinal: number,
  template: PodTemplateSpec,
  revision: string,
): Pod {
  const { metadata, spec } = set;
  const name = `${metadata.name}-${ordinal}`;
  const { labels = {}, annotations = {}, finalizers } = template.metadata ?? {};
  const claims = claimsOf(set, ordinal).map(({ template: volume, claim }) => ({
    name: volume,
    persistentVolumeClaim: { claimName: claim.metadata.name },
  }));
  const claimed = new Set(claims.map((volume) => volume.name));
  const others = (template.spec?.volumes ?? []).filter((volume) => !claimed.has(volume.name));
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      generateName: `${metadata.name}-`,
      ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
      labels: {
        ...labels,
        [podNameLabel]: name,
        [podIndexLabel]: String(ordinal),
        [revisionLabel]: revision,
      },
      annotations,
      ...(finalizers === undefined ? {} : { finalizers }),
      ownerReferences: [controllerReference(set, StatefulSetKind)],
    },
    spec: {
      ...template.spec,
      containers: template.spec?.containers ?? [],
      hostname: name,
      ...(spec?.serviceName ? { subdomain: spec.serviceName } : {}),
      ...(claims.length + others.length > 0 ? { volumes: [...others, ...claims] } : {}),
    },
  };
}

/** The claims of one ordinal's pod, from `volumeClaimTemplates`. */
export function claimsOf(
  set: StatefulSet,
  ordinal: number,
): readonly { readonly template: string; readonly claim: PersistentVolumeClaim }[] {
  const { metadata, spec } = set;
  const owned = spec?.persistentVolumeClaimRetentionPolicy?.whenDeleted === "Delete";
  return (spec?.volumeClaimTemplates ?? []).map(({ metadata: given, spec: claimSpec }) => {
    const template = given?.name ?? "";
    return {
      template,
      claim: {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: {
          name: `${template}-${metadata.name}-${ordinal}`,
          ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
          labels: { ...given?.labels, ...spec?.selector.matchLabels },
          ...(given?.annotations === undefined ? {} : { annotations: given.annotations }),
          ...(owned ? { ownerReferences: [controllerReference(set, StatefulSetKind)] } : {}),
        },
        ...(claimSpec === undefined ? {} : { spec: claimSpec }),
      },
    };
  });
}
