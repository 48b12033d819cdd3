import { type RollbackMark, rollbackAnnotation } from "../api/annotations.ts";
import { ConfigMapKind, type PodTemplateSpec, SecretKind, type Service, ServiceKind } from "../api/core.ts";
import type { OwnerReference } from "../api/resource.ts";
import type { JsonPatchOperation } from "../kube/contract.ts";
import { buildConfigCopy, readConfigs, type TrackedConfig } from "./configs/copies.ts";
import type { RunState } from "./decide/state.ts";
import { promotionId, type Revision, sameJson, type TrackedConfigs } from "./revision.ts";
import { formerPrimaryName, readRevision, revisionName } from "./revisions.ts";
import { primarySource, type Subject, targetRevision } from "./subject.ts";
import { copiedKeys } from "./targets/copied-keys.ts";
import type { Target, Template } from "./targets/kind.ts";
import { buildPrimary, promotePatch } from "./targets/primary-workload.ts";
import {
  buildServiceCopy,
  isService,
  isServiceTemplate,
  presentService,
  serviceOperations,
} from "./targets/service.ts";
import { primaryTemplate } from "./targets/template.ts";
import { annotationOperations, type Write } from "./write.ts";

/** What a primary serves as it stands. */
export function presentTemplate(primary: Target): Template | undefined {
  return isService(primary) ? presentService(primary) : primary.spec?.template;
}

/** The target's template as it was analysed: the stored one, or the present one where that is the same revision. */
function templateOf(subject: Subject, revision: Revision): Template | undefined {
  const { canary, snapshot, template: present } = subject;
  const stored = readRevision(snapshot, canary.namespace, revisionName(canary.name, revision));
  if (stored !== undefined) return stored;
  return present && targetRevision(subject, present) === revision ? present : undefined;
}

/** The primary and the copies of its configs, made anew. Falls back on the target's present template. */
export function createPrimaryWrites(subject: Subject, revision: Revision): readonly Write[] {
  const { target, owner, settings, primary, kind, canary } = subject;
  const template = templateOf(subject, revision) ?? subject.template;
  if (target === undefined || template === undefined || primary !== undefined) return [];
  if (isService(target)) return primaryServiceWrites(subject, target, template, revision);
  if (isServiceTemplate(template)) return [];
  const source = primarySource(subject, template, revision);
  if (source === undefined) return [];
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
  if (primary === undefined || template === undefined) return undefined;
  const { namespace } = canary;
  const { name, annotations } = primary.metadata;
  const unmarked = annotationOperations(annotations, { [rollbackAnnotation]: undefined });
  if (isServiceTemplate(template)) {
    const promoted = { ...template, promotion: promotionId(revision) };
    const operations = isService(primary) ? [...serviceOperations(primary, promoted), ...unmarked] : [];
    return [{ kind: "patch", of: kind.kind, namespace, name, operations }];
  }
  const source = primarySource(subject, template, revision);
  if (source === undefined) return undefined;
  const workload = target && !isService(target) ? target : undefined;
  const replicas = canary.autoscaler === undefined && target ? kind.replicas(target) || undefined : undefined;
  return [
    ...configWrites(subject, source.template, analysed),
    {
      kind: "patch",
      of: kind.kind,
      namespace,
      name,
      operations: [...promotePatch(kind, workload, source, replicas), ...unmarked],
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
        ...(template ? templateOperations(primary, template) : []),
        ...annotationOperations(primary.metadata.annotations, { [rollbackAnnotation]: JSON.stringify(mark) }),
      ],
    },
  ];
}

function templateOperations(primary: Target, template: Template): readonly JsonPatchOperation[] {
  if (!isServiceTemplate(template)) return [{ op: "add", path: "/spec/template", value: template }];
  return isService(primary) ? serviceOperations(primary, template) : [];
}

function primaryServiceWrites(
  { canary, owner }: Subject,
  target: Service,
  template: Template,
  revision: Revision,
): readonly Write[] {
  if (!isServiceTemplate(template)) return [];
  const promoted = { ...template, promotion: promotionId(revision) };
  const { names, service } = canary;
  const object = buildServiceCopy(target, names.primaryService, promoted, owner, service.primary);
  return [{ kind: "create", of: ServiceKind, object }];
}

function promotedTemplate(subject: Subject, { primaryRevision }: RunState): Template | undefined {
  const template = primaryRevision === undefined ? undefined : templateOf(subject, primaryRevision);
  if (template === undefined || primaryRevision === undefined) return undefined;
  if (isServiceTemplate(template)) return { ...template, promotion: promotionId(primaryRevision) };
  const source = primarySource(subject, template, primaryRevision);
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
  if (edited || sameJson(wanted, existing)) return undefined;
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
