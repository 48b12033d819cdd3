import type { Harm } from "../analysis/analyst.ts";
import { pausedAnnotation, rollbackAnnotation } from "../api/annotations.ts";
import type { ReadCanary } from "../api/canary/types.ts";
import { HorizontalPodAutoscalerKind, type PodTemplateSpec, ServiceKind } from "../api/core.ts";
import { MetricTemplateKind } from "../api/kinds.ts";
import type { Milliseconds } from "../lib/units.ts";
import { readAction, readGates } from "./actions.ts";
import { checksums } from "./configs/copies.ts";
import type {
  Measurement,
  Observation,
  PrimaryObservation,
  RouteObservation,
  TargetObservation,
} from "./decide/observation.ts";
import { liveRun, type RunRescues, type State } from "./decide/state.ts";
import type { Traffic } from "./decide/traffic.ts";
import { formerRouter } from "./former-provider.ts";
import { objectWrites } from "./objects.ts";
import { fenceOf, isRevision, type Revision, sameJson, shortRevision } from "./revision.ts";
import { parseMark } from "./routers/marks.ts";
import { mostByDefault, scaledObjectOf } from "./scalers/scaled-object.ts";
import { primarySource, type Subject, targetRevision } from "./subject.ts";
import type { Template } from "./targets/kind.ts";
import { hasRevision, replicasForRun } from "./targets/primary-workload.ts";
import { primaryValue } from "./targets/selector.ts";
import { isService, isServiceTemplate, presentService, sameService } from "./targets/service.ts";
import { primaryTemplate, promotionAnnotation } from "./targets/template.ts";
import type { Write } from "./write.ts";

/** What is known beside the cluster's objects. */
export interface Memory {
  readonly now: number;
  readonly route: RouteObservation;
  readonly freshRun: string;
  readonly drainsIn: Milliseconds;
  /** Whether a write would only repeat what was just written: the server then keeps less than was asked. */
  readonly isOwn: (write: Write) => boolean;
  /** Whether the objects of a provider that the Canary has left are known. */
  readonly formerIsListed: boolean;
  /** Why a new run has to wait for others. */
  readonly queued?: string;
  readonly measurement?: Measurement;
  readonly harm?: Harm;
  readonly rescues?: RunRescues;
}

/** Everything that the next decision depends on, from one snapshot. Pure. */
export function observe(subject: Subject, state: State, wanted: Traffic, memory: Memory): Observation {
  const { canary } = subject;
  const { annotations = {}, deletionTimestamp } = canary.object.metadata;
  const action = readAction(annotations);
  const run = liveRun(state)?.run;
  const harm = memory.harm;
  const bounds = autoscalerBounds(subject);
  return {
    now: memory.now,
    freshRun: memory.freshRun,
    target: observeTarget(subject, state, memory.now),
    primary: observePrimary(subject, state, memory.now),
    route: memory.route,
    ...(memory.formerIsListed &&
      formerRouter(subject) &&
      state.provider && { formerProvider: state.provider }),
    objects: {
      drifted: objectWrites(subject, leadsTraffic(subject, state, memory.now), wanted).some(
        (write) => !memory.isOwn(write),
      ),
      apexSwitched: isApexSwitched(subject),
    },
    drainsIn: memory.drainsIn,
    ...(memory.measurement && { measurement: memory.measurement }),
    ...(harm && run && { harm }),
    ...(memory.rescues && { rescues: memory.rescues }),
    ...(action && { action }),
    gates: readGates(annotations),
    paused: isPaused(annotations),
    suspended: canary.suspend,
    ...lackingTemplates(subject),
    ...(memory.queued !== undefined && { queued: memory.queued }),
    ...(bounds?.most !== undefined && { mostPrimaryPods: bounds.most }),
    autoscaled: canary.autoscaler !== undefined && isReplicated(subject),
    deleted: deletionTimestamp !== undefined,
  };
}

/** Without its templates an analysis could only wait. */
function lackingTemplates({ canary, snapshot }: Subject): Pick<Observation, "missingTemplates"> {
  if (canary.skipAnalysis) return {};
  const lacking = canary.analysis.metrics.flatMap((metric, index) => {
    if (metric.kind !== "template") return [];
    const { namespace, name } = metric.template;
    if (snapshot.get(MetricTemplateKind, namespace, name) !== undefined) return [];
    return [`spec.analysis.metrics[${index}].templateRef: no MetricTemplate \`${namespace}/${name}\` exists`];
  });
  return lacking.length > 0 ? { missingTemplates: lacking.join("; ") } : {};
}

function observeTarget(subject: Subject, state: State, now: number): TargetObservation {
  const { canary, kind, target, template, primary, selector, configs, settings, snapshot } = subject;
  if (target === undefined || template === undefined || target.metadata.deletionTimestamp !== undefined) {
    return { kind: "missing", message: `${canary.target.kind.toLowerCase()} not found` };
  }
  const replicas = kind.replicas(target);
  const unusable = kind.unusable(target);
  if (unusable !== undefined) return { kind: "unusable", message: unusable, replicas };
  if (selector === undefined && !isServiceTemplate(template)) {
    const names = settings.selectorLabels.map((name) => `\`${name}\``).join(", ");
    return { kind: "unusable", message: `spec.selector.matchLabels must contain one of ${names}`, replicas };
  }
  if (configs.missing.length > 0) {
    return { kind: "unusable", message: `${configs.missing.join(", ")} not found`, replicas };
  }
  const revision = targetRevision(subject, template);
  const compare =
    state.applied !== revision || state.promoted === undefined || state.phase === "Initializing";
  return {
    kind: "present",
    revision,
    // A Service has no generation.
    fence: fenceOf(
      isService(target) ? { ...target.metadata, generation: shortRevision(revision) } : target.metadata,
    ),
    trackedConfigs: checksums(configs.tracked),
    replicas,
    replicasForRun: replicasForRun(kind, target, primary, autoscalerBounds(subject)?.least),
    readiness: kind.readiness(target, canary.analysis.canaryReadyThreshold, canary.progressDeadline, now),
    pods: kind.pods(target, snapshot),
    knownGood: isKnownGood(canary, state, revision),
    sameAsPrimary: compare && isSameAsPrimary(subject, template),
  };
}

/** The least pods that the target's autoscaler wants, and the most that the primary's may have; undefined where there is none. */
function autoscalerBounds({ canary, snapshot }: Subject) {
  const { autoscaler, namespace } = canary;
  const most = autoscaler?.primaryScalerReplicas?.maxReplicas;
  switch (autoscaler?.kind) {
    case undefined:
      return undefined;
    case "HorizontalPodAutoscaler": {
      const found = snapshot.get(HorizontalPodAutoscalerKind, namespace, autoscaler.name);
      return { least: found?.spec?.minReplicas ?? 1, most: most ?? found?.spec?.maxReplicas };
    }
    case "ScaledObject": {
      const found = scaledObjectOf(canary, snapshot);
      return {
        least: found?.spec?.minReplicaCount ?? 1,
        most: most ?? found?.spec?.maxReplicaCount ?? mostByDefault,
      };
    }
  }
}

/** Whether a revision is among the last that were promoted, within the Canary's window. */
function isKnownGood(
  { object, rollbackWindow }: ReadCanary,
  { promoted }: State,
  revision: Revision,
): boolean {
  if (rollbackWindow === 0) return false;
  const good = (object.status?.history ?? []).filter(({ outcome }) => outcome === "promoted");
  const others = new Set(good.map((entry) => entry.revision).filter((one) => one !== promoted));
  return [...others].slice(0, rollbackWindow).includes(revision);
}

function observePrimary(subject: Subject, state: State, now: number): PrimaryObservation {
  const { canary, kind, primary, template } = subject;
  if (primary === undefined) return { kind: "missing" };
  const candidates = [
    liveRun(state)?.run.revision,
    state.promoted,
    state.applied,
    template && targetRevision(subject, template),
  ];
  const revision = candidates.find((candidate) => isRevision(candidate) && hasRevision(primary, candidate));
  const restored = parseMark(primary.metadata.annotations?.[rollbackAnnotation]);
  return {
    kind: "present",
    revision,
    readiness: kind.readiness(primary, canary.analysis.primaryReadyThreshold, canary.progressDeadline, now),
    replicas: kind.replicas(primary),
    ...(restored && { restored }),
  };
}

/** Whether the primary runs the target's template, apart from the id of its promotion. */
function isSameAsPrimary(subject: Subject, template: Template): boolean {
  const { primary } = subject;
  if (primary === undefined) return false;
  if (isServiceTemplate(template))
    return isService(primary) && sameService(presentService(primary), template);
  const present = isService(primary) ? undefined : primary.spec?.template;
  const source = primarySource(subject, template, "");
  if (present === undefined || source === undefined) return false;
  return sameJson(withoutId(primaryTemplate(source)), withoutId(present));
}

function withoutId(template: PodTemplateSpec): PodTemplateSpec {
  const { [promotionAnnotation]: _id, ...annotations } = template.metadata?.annotations ?? {};
  return { ...template, metadata: { ...template.metadata, annotations } };
}

/** Users' traffic is led to the primary when it is ready for the first time, and from then on. */
function leadsTraffic(subject: Subject, state: State, now: number): boolean {
  return state.phase !== "Initializing" || isPrimaryReady(subject, now);
}

function isPrimaryReady({ primary, canary, kind }: Subject, now: number): boolean {
  if (primary === undefined) return false;
  const readiness = kind.readiness(
    primary,
    canary.analysis.primaryReadyThreshold,
    canary.progressDeadline,
    now,
  );
  return readiness.kind === "ready";
}

/** Whether the number of its pods is a field. */
function isReplicated({ kind }: Subject): boolean {
  return kind.kind.kind !== "DaemonSet" && kind.kind.kind !== "Service";
}

function isApexSwitched({ canary, selector, snapshot, kind }: Subject): boolean {
  // A target Service is what clients call: the route alone leads them elsewhere.
  if (kind.kind.kind === "Service") return true;
  if (selector === undefined) return false;
  const apex = snapshot.get(ServiceKind, canary.namespace, canary.names.apexService);
  return apex?.spec?.selector?.[selector.name] === primaryValue(selector);
}

function isPaused(annotations: Readonly<Record<string, string>>): boolean {
  const value = annotations[pausedAnnotation];
  return value !== undefined && value !== "false";
}
