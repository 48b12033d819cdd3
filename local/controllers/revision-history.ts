import type { ControllerRevision, PodTemplateSpec } from "../../api/core.ts";
import type { Kind, KubeObject } from "../../api/resource.ts";
import { equalTemplates, podTemplateHash } from "./deployment/template-hash.ts";
import { controllerReference } from "./pod-facts.ts";

/** On a ControllerRevision: the hash of its template. */
const hashLabel = "controller.kubernetes.io/hash";
/** On a pod: the ControllerRevision (StatefulSet) or its hash (DaemonSet) that it was made from. */
export const revisionLabel = "controller-revision-hash";

export interface RevisionsInput<Owner extends KubeObject> {
  readonly owner: Owner;
  readonly kind: Kind<Owner>;
  readonly template: PodTemplateSpec;
  /** Those that the owner controls. */
  readonly revisions: readonly ControllerRevision[];
  readonly collisionCount?: number | undefined;
}

/** What the history needs for the owner's current template. */
export interface RevisionsPlan {
  /** Of the current template, as it is or as it will be. */
  readonly current: ControllerRevision;
  /** It is not stored yet. */
  readonly create: boolean;
  /** It is stored, and an older one that is in use again: its number must become this. */
  readonly renumber?: number;
}

/**
 * Finds or makes the ControllerRevision of a template, as `kubectl rollout history` and `undo` read them.
 *
 * A template that was used before gets its old revision back under the next number.
 */
export function planRevisions<Owner extends KubeObject>(input: RevisionsInput<Owner>): RevisionsPlan {
  const { template, revisions } = input;
  const newest = Math.max(0, ...revisions.map(({ revision }) => revision));
  const same = revisions
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .filter((revision) => equalTemplates(templateOf(revision), template))
    .sort((a, b) => b.revision - a.revision)[0];
  if (!same) return { current: newRevision(input, newest + 1), create: true };
  return { current: same, create: false, ...(same.revision < newest ? { renumber: newest + 1 } : {}) };
}

/** The revisions beyond `limit`, the oldest first; those that are `inUse` (by name) never go. */
export function outdatedRevisions(
  revisions: readonly ControllerRevision[],
  inUse: ReadonlySet<string>,
  limit: number,
): readonly ControllerRevision[] {
  const idle = revisions.filter(({ metadata }) => !inUse.has(metadata.name));
  return idle.sort((a, b) => a.revision - b.revision).slice(0, Math.max(0, idle.length - limit));
}

/** The hash that a revision carries. */
export function hashOf({ metadata }: ControllerRevision): string {
  return metadata.labels?.[hashLabel] ?? "";
}

/** The pod template that a revision holds; undefined where it is not one of ours. */
export function templateOf({ data }: ControllerRevision): PodTemplateSpec | undefined {
  // A RawExtension: the API server keeps whatever its owner wrote.
  const held = data as { readonly spec?: { readonly template?: PodTemplateSpec & { $patch?: string } } };
  if (!held?.spec?.template) return undefined;
  const { $patch: _, ...template } = held.spec.template;
  return template;
}

function newRevision<Owner extends KubeObject>(
  { owner, kind, template, collisionCount }: RevisionsInput<Owner>,
  revision: number,
): ControllerRevision {
  const hash = podTemplateHash(template, collisionCount);
  const { name, namespace } = owner.metadata;
  return {
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    metadata: {
      name: `${name}-${hash}`,
      ...(namespace === undefined ? {} : { namespace }),
      labels: { ...template.metadata?.labels, [hashLabel]: hash },
      ownerReferences: [controllerReference(owner, kind)],
    },
    // A strategic merge patch of the owner, which `kubectl rollout undo` sends as it is.
    data: { spec: { template: { ...template, $patch: "replace" } } },
    revision,
  };
}
