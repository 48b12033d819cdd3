import { type RollbackMark, rollbackAnnotation } from "../api/annotations.ts";
import { ConfigMapKind, type PodTemplateSpec, SecretKind } from "../api/core.ts";
import type { OwnerReference } from "../api/resource.ts";
import { buildConfigCopy, readConfigs, type TrackedConfig } from "./configs/copies.ts";
import type { RunState } from "./decide/state.ts";
import { canonicalJson, type Revision, type TrackedConfigs } from "./revision.ts";
import { formerPrimaryName, readRevision, revisionName } from "./revisions.ts";
import { primarySource, type Subject, targetRevision } from "./subject.ts";
import { buildPrimary, copiedKeys, promotePatch } from "./targets/primary-workload.ts";
import { primaryTemplate } from "./targets/template.ts";
import { annotationOperations, type Write } from "./write.ts";

/** The target's template as it was analysed: the stored one, or the present one where that is the same revision. */
function templateOf(subject: Subject, revision: Revision): PodTemplateSpec | undefined {
  const { canary, snapshot, template: present } = subject;
  const stored = readRevision(snapshot, canary.namespace, revisionName(canary.name, revision));
  if (stored !== undefined) return stored;
  return present && targetRevision(subject, present) === revision ? present : undefined;
}

/** The primary and the copies of its configs, made anew. Falls back on the target's present template. */
export function createPrimaryWrites(subject: Subject, revision: Revision): readonly Write[] {
  const { target, owner, settings, primary, kind, canary } = subject;
  const template = templateOf(subject, revision) ?? subject.template;
  const source = template && primarySource(subject, template, revision);
  if (target === undefined || source === undefined || primary !== undefined) return [];
  return [
    ...configWrites(subject, source.template, {}),
    {
      kind: "create",
      of: kind.kind,
      object: buildPrimary(target, {
        kind,
        name: canary.names.primaryWorkload,
        service: canary.names.primaryService,
        source,
        owner,
        includeLabelPrefixes: settings.includeLabelPrefixes,
      }),
    },
  ];
}

/**
 * Rolls the primary to a revision: first the copies of its configs, then its template.
 *
 * `analysed` are the configs' checksums of the run: a config that was edited since keeps the copy that it has.
 *
 * @returns undefined where the template of that revision is known no more
 */
export function copyToPrimaryWrites(
  subject: Subject,
  revision: Revision,
  analysed: TrackedConfigs,
): readonly Write[] | undefined {
  const { canary, target, primary, kind } = subject;
  const template = templateOf(subject, revision);
  const source = template && primarySource(subject, template, revision);
  if (primary === undefined || source === undefined) return undefined;
  const replicas = canary.autoscaler === undefined && target ? kind.replicas(target) || undefined : undefined;
  return [
    ...configWrites(subject, source.template, analysed),
    {
      kind: "patch",
      of: kind.kind,
      namespace: canary.namespace,
      name: primary.metadata.name,
      operations: [
        ...promotePatch(kind, target, source, replicas),
        ...annotationOperations(primary.metadata.annotations, { [rollbackAnnotation]: undefined }),
      ],
    },
  ];
}

/** Gives the primary back what it had before a run's promotion, with the mark that says so, in one write. */
export function restorePrimaryWrites(subject: Subject, run: RunState, mark: RollbackMark): readonly Write[] {
  const { canary, primary, snapshot, kind } = subject;
  if (primary === undefined) return [];
  const former = readRevision(snapshot, canary.namespace, formerPrimaryName(canary.name, run.id));
  const template = former ?? promotedTemplate(subject, run);
  return [
    {
      kind: "patch",
      of: kind.kind,
      namespace: canary.namespace,
      name: primary.metadata.name,
      operations: [
        ...(template ? [{ op: "add", path: "/spec/template", value: template } as const] : []),
        ...annotationOperations(primary.metadata.annotations, { [rollbackAnnotation]: JSON.stringify(mark) }),
      ],
    },
  ];
}

function promotedTemplate(subject: Subject, { primaryRevision }: RunState): PodTemplateSpec | undefined {
  const template = primaryRevision === undefined ? undefined : templateOf(subject, primaryRevision);
  const source = template && primaryRevision && primarySource(subject, template, primaryRevision);
  return source ? primaryTemplate(source) : undefined;
}

function configWrites(
  subject: Subject,
  template: PodTemplateSpec,
  analysed: TrackedConfigs,
): readonly Write[] {
  const { canary, snapshot, settings, owner } = subject;
  const { tracked } = readConfigs(template, canary.namespace, snapshot);
  return tracked.flatMap((config) => {
    const labels = copiedKeys(config.object.metadata.labels, settings.includeLabelPrefixes);
    const edited = analysed[config.key] !== undefined && analysed[config.key] !== config.checksum;
    return configWrite(subject, config, buildConfigCopy(config, labels, owner), edited) ?? [];
  });
}

function configWrite(
  { snapshot, owner }: Subject,
  { object }: TrackedConfig,
  copy: ReturnType<typeof buildConfigCopy>,
  edited: boolean,
): readonly Write[] | undefined {
  const of = object.kind === "ConfigMap" ? ConfigMapKind : SecretKind;
  const existing = snapshot.get<ReturnType<typeof buildConfigCopy>>(
    of,
    copy.metadata.namespace,
    copy.metadata.name,
  );
  if (existing === undefined) return [{ kind: "create", of, object: copy }];
  const wanted = {
    ...copy,
    metadata: {
      ...existing.metadata,
      ...copy.metadata,
      ownerReferences: sharedOwners(existing.metadata.ownerReferences, owner),
    },
  };
  if (edited || canonicalJson(wanted) === canonicalJson(existing)) return undefined;
  return [{ kind: "replace", of, object: wanted }];
}

/** A copy that several Canaries use has one controller; the others own it beside. */
function sharedOwners(
  present: readonly OwnerReference[] = [],
  owner: OwnerReference,
): readonly OwnerReference[] {
  if (present.some(({ uid }) => uid === owner.uid)) return present;
  const controlled = present.some(({ controller }) => controller === true);
  return [...present, controlled ? { ...owner, controller: false } : owner];
}
