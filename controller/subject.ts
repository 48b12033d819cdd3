import type { RunMark } from "../api/annotations.ts";
import type { ReadCanary } from "../api/canary/types.ts";
import type { PodTemplateSpec } from "../api/core.ts";
import { CanaryKind } from "../api/kinds.ts";
import { apiVersion, type KubeObject, type OwnerReference } from "../api/resource.ts";
import type { Run } from "../api/signals.ts";
import type { Snapshot } from "../kube/contract.ts";
import { type Configs, checksums, readConfigs } from "./configs/copies.ts";
import type { RunState } from "./decide/state.ts";
import { type Revision, revisionOf } from "./revision.ts";
import { isOurs } from "./routers/ownership.ts";
import type { Router } from "./routers/router.ts";
import type { RouteSource } from "./routers/services.ts";
import type { ControllerSettings } from "./settings.ts";
import { type Target, type TargetKind, type Template, targetKind } from "./targets/kind.ts";
import { type SelectorLabel, selectorLabel } from "./targets/selector.ts";
import { isService, isServiceTemplate } from "./targets/service.ts";
import type { PrimarySource } from "./targets/template.ts";

/** One canary with everything that stands around it at one moment: what is observed and what is written are made of it. */
export interface Subject {
  readonly canary: ReadCanary;
  readonly uid: string;
  readonly owner: OwnerReference;
  readonly snapshot: Snapshot;
  readonly settings: ControllerSettings;
  readonly router: Router;
  readonly kind: TargetKind;
  readonly target: Target | undefined;
  /** What the target's pods are made of, as the user wrote it, or where a Service leads. */
  readonly template: Template | undefined;
  readonly primary: Target | undefined;
  /** None of a Service's. */
  readonly selector: SelectorLabel | undefined;
  readonly configs: Configs;
}

export function readSubject(
  canary: ReadCanary,
  snapshot: Snapshot,
  router: Router,
  settings: ControllerSettings,
): Subject {
  const { namespace, names } = canary;
  const kind = targetKind(canary.target.kind);
  const target = snapshot.get(kind.kind, namespace, names.canaryWorkload);
  const uid = canary.object.metadata.uid ?? "";
  const template = target && kind.template(target);
  return {
    canary,
    uid,
    owner: {
      apiVersion: apiVersion(CanaryKind),
      kind: CanaryKind.kind,
      name: canary.name,
      uid,
      controller: true,
      blockOwnerDeletion: true,
    },
    snapshot,
    settings,
    router,
    kind,
    target,
    template,
    primary: snapshot.get(kind.kind, namespace, names.primaryWorkload),
    selector: target && !isService(target) ? selectorLabel(target, settings.selectorLabels) : undefined,
    configs:
      template && !isServiceTemplate(template)
        ? readConfigs(template, namespace, snapshot)
        : { tracked: [], missing: [] },
  };
}

/** What Services are made of; undefined while there is no target to read ports and selector from, and of a Service. */
export function routeSource({ canary, owner, template, selector }: Subject): RouteSource | undefined {
  if (template === undefined || selector === undefined || isServiceTemplate(template)) return undefined;
  return { canary, owner, selector, template };
}

const revisions = new WeakMap<Template, { readonly configs: string; readonly revision: Revision }>();

/** The target's present revision. Hashed once per template and set of configs. */
export function targetRevision({ configs }: Subject, template: Template): Revision {
  const tracked = checksums(configs.tracked);
  const key = Object.entries(tracked).flat().join(" ");
  const known = revisions.get(template);
  if (known?.configs === key) return known.revision;
  const revision = revisionOf(template, tracked);
  revisions.set(template, { configs: key, revision });
  return revision;
}

/** How the primary is made from a target's template. */
export function primarySource(
  { canary, snapshot, selector, settings }: Subject,
  template: PodTemplateSpec,
  revision: Revision,
): PrimarySource | undefined {
  if (selector === undefined) return undefined;
  const { tracked } = readConfigs(template, canary.namespace, snapshot);
  return {
    template,
    revision,
    selector,
    target: canary.names.canaryWorkload,
    copied: new Set(tracked.map(({ key }) => key)),
    selectorLabels: settings.selectorLabels,
  };
}

/** Fully qualified hosts of both sides, as proxies know them. */
export function hostsOf({ canary, settings }: Pick<Subject, "canary" | "settings">) {
  const host = (service: string) => `${service}.${canary.namespace}.svc.${settings.clusterDomain}`;
  return { primaryHost: host(canary.names.primaryService), canaryHost: host(canary.names.canaryService) };
}

export function runMark(subject: Subject, run: RunState): RunMark {
  const { namespace, name, analysis } = subject.canary;
  return {
    canary: { namespace, name, uid: subject.uid },
    run: run.id,
    revision: run.revision,
    ...hostsOf(subject),
    ...(analysis.shield && { shield: analysis.shield }),
  };
}

/** The run as the mesh and the judge know it. A Service's workloads are not known: its callers' side alone speaks. */
export function signalsRun(subject: Subject, run: RunState): Run {
  const { canary, router, uid, kind } = subject;
  const { primaryHost, canaryHost } = hostsOf(subject);
  const workload = (name: string) => (kind.kind.kind === "Service" ? "" : name);
  return {
    route: router.route(canary),
    canaryUid: uid,
    namespace: canary.namespace,
    primary: { host: primaryHost, workload: workload(canary.names.primaryWorkload) },
    canary: { host: canaryHost, workload: workload(canary.names.canaryWorkload) },
    run: run.id,
    revision: run.revision,
  };
}

/** The stored version of the route; undefined where there is none. */
export function routeVersion(subject: Subject): string | undefined {
  return routeObject(subject)?.metadata.resourceVersion;
}

/** Whether the route is a user's, of which only the weights are ours. */
export function isUsersRoute(subject: Subject): boolean {
  const route = routeObject(subject);
  return route !== undefined && !isOurs(subject.canary, route);
}

function routeObject({ canary, router, snapshot }: Subject): KubeObject | undefined {
  const { kind, namespace, name } = router.route(canary);
  const of = router.kinds.find((known) => known.kind === kind);
  return of && snapshot.get(of, namespace, name);
}
