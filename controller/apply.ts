import type { Judgement } from "../analysis/judge/types.ts";
import {
  actionAnnotation,
  byAnnotation,
  pausedAnnotation,
  type RollbackMark,
  reasonAnnotation,
  revisionAnnotation,
} from "../api/annotations.ts";
import { ControllerRevisionKind, ServiceKind } from "../api/core.ts";
import type { Hooks } from "../api/hooks.ts";
import { type Canary, CanaryKind } from "../api/kinds.ts";
import type { KubeObject } from "../api/resource.ts";
import type { Client, Recorder } from "../kube/contract.ts";
import type { Shards } from "../kube/shards.ts";
import type { Clock } from "../lib/clock.ts";
import { alertFields } from "./alert-fields.ts";
import type { Writer } from "./carry-out.ts";
import type { Decision, Effect, Notice } from "./decide/effects.ts";
import type { DecisionSpec } from "./decide/spec.ts";
import type { State } from "./decide/state.ts";
import { wantedTraffic } from "./decide/traffic.ts";
import type { EventHooks } from "./event-hooks.ts";
import { carryOutLeaving, formerRouter, leaveProvider } from "./former-provider.ts";
import { keyOf } from "./key-index.ts";
import type { ControllerMetrics } from "./metrics.ts";
import { objectWrites } from "./objects.ts";
import {
  copyToPrimaryWrites,
  createPrimaryWrites,
  presentTemplate,
  restorePrimaryWrites,
} from "./primary.ts";
import { fenceOf } from "./revision.ts";
import {
  buildRevision,
  formerPrimaryName,
  readRevision,
  revisionName,
  unneededRevisions,
} from "./revisions.ts";
import type { Rollbacks } from "./rollback.ts";
import { givenBack } from "./routers/ownership.ts";
import { isOwned } from "./routers/services.ts";
import { pauseWrite, scaledObjectOf } from "./scalers/scaled-object.ts";
import { buildStatus, type StatusInput } from "./status/write.ts";
import { runMark, type Subject, targetRevision } from "./subject.ts";
import type { Target } from "./targets/kind.ts";
import { annotationOperations, type Write } from "./write.ts";

export interface ApplyOptions {
  readonly client: Pick<Client, "delete">;
  readonly writer: Writer;
  readonly recorder: Recorder;
  readonly hooks: Pick<Hooks, "alert">;
  readonly eventHooks: Pick<EventHooks, "tell">;
  readonly lease: Pick<Shards, "held" | "epoch">;
  readonly rollbacks: Rollbacks;
  readonly metrics: ControllerMetrics;
  readonly clock: Clock;
}

/** The lease was lost in the middle: another controller goes on. */
class LeaseLostError extends Error {
  override readonly name = "LeaseLostError";
}

/** What is to be carried out, and for whom. */
export interface Task {
  readonly subject: Subject;
  /** The state that was decided on. */
  readonly last: State;
  readonly decision: Decision;
  readonly spec: DecisionSpec;
  readonly judgement?: Judgement;
}

const finalizer = "finalizer.flagger.app";

/**
 * Carries out a decision's effects, in order. Each may be repeated.
 *
 * What was stored is told even where an effect after it fails: the next decision goes on from there, and tells it no more.
 *
 * @throws ApiError at the first that fails: the next decision asks for what is still missing
 * @throws LeaseLostError where an effect that may raise or store came after the lease was lost
 */
export async function applyDecision(task: Task, options: ApplyOptions): Promise<void> {
  const { effects } = task.decision;
  let current = task;
  let isStored = false;
  for (const [index, effect] of effects.entries()) {
    if (!lowersOnly(effect) && !options.lease.held(keyOf(task.subject.canary.object)))
      throw new LeaseLostError("the lease is held by another");
    try {
      if (effect.kind === "scale-target")
        current = withFence(current, await scaleTarget(current.subject, effect.replicas, options));
      else await applyEffect(effect, current, options);
    } catch (error) {
      if (isStored) {
        for (const left of effects.slice(index + 1)) {
          if (left.kind === "event" || left.kind === "alert") await applyEffect(left, current, options);
        }
      }
      throw error;
    }
    isStored ||= effect.kind === "store";
  }
}

/** What the guard may do without a lease. */
export function lowersOnly(
  effect: Effect,
): effect is Extract<Effect, { readonly kind: "roll-back-route" | "restore-primary" }> {
  return effect.kind === "roll-back-route" || effect.kind === "restore-primary";
}

/** Carries out an effect after which the decision stands as it was: not so once the target is scaled. */
export async function applyEffect(
  effect: Exclude<Effect, { readonly kind: "scale-target" }>,
  task: Task,
  options: ApplyOptions,
): Promise<void> {
  const { subject } = task;
  const { canary, router, snapshot } = subject;
  const writeAll = async (writes: readonly (Write | undefined)[]) => {
    for (const write of writes) {
      if (write !== undefined) await options.writer.write(write);
    }
  };
  switch (effect.kind) {
    case "store":
      return store(task, options);
    case "store-revision":
      return writeAll([revisionWrite(subject, effect.revision)]);
    case "apply-objects": {
      const writes = objectWrites(subject, effect.apex, wantedTraffic(task.decision.next, task.spec));
      return writeAll(writes.filter((write) => !options.writer.isOwn(write)));
    }
    case "create-primary":
      return writeAll(createPrimaryWrites(subject, effect.revision));
    case "set-traffic": {
      const mark = effect.run && runMark(subject, effect.run);
      const wanted = wantedTraffic(task.decision.next, task.spec);
      return writeAll([router.setTraffic(canary, wanted, mark, snapshot)]);
    }
    case "roll-back-route":
      return rollBackRoutes(subject, effect.mark, options);
    case "clear-run-mark":
      return writeAll([router.clearRunMark(canary, snapshot)]);
    case "leave-provider": {
      const former = formerRouter(subject);
      return former && carryOutLeaving(leaveProvider(subject, former), options);
    }
    case "store-primary":
      return writeAll([formerPrimaryWrite(subject, effect.run.id)]);
    case "copy-to-primary": {
      const writes = copyToPrimaryWrites(subject, effect.revision, task.decision.next.trackedConfigs);
      if (writes === undefined)
        throw new Error(`the template of revision ${effect.revision} is known no more`);
      return writeAll(writes);
    }
    case "restore-primary":
      return writeAll(restorePrimaryWrites(subject, effect.run, effect.mark));
    case "event":
      options.recorder.event(canary.object, effect.type, effect.reason, effect.message);
      options.eventHooks.tell(canary, subject.uid, task.decision.next, effect);
      return;
    case "alert":
      options.hooks.alert({
        canary: { namespace: canary.namespace, name: canary.name, uid: subject.uid },
        receivers: canary.analysis.alerts,
        severity: effect.severity,
        message: effect.message,
        fields: alertFields(task.subject, task.decision.next),
      });
      return;
    case "count-run":
      options.metrics.ended(canary, effect.run, effect.outcome, options.clock.now());
      return prune(task, options);
    case "clear-action":
      return writeAll([clearActionWrite(subject, effect.pause)]);
    case "revert": {
      const former = formerRouter(subject);
      if (former !== undefined) await carryOutLeaving(leaveProvider(subject, former), options);
      return writeAll([
        scalerWrite(subject, false),
        ...apexRevert(subject),
        ...router.revert(canary, subject.owner, snapshot),
      ]);
    }
    case "remove-finalizer":
      return writeAll([finalizerWrite(subject, false)]);
  }
}

/** Returns the target as it is then; undefined where it has as many pods already. */
async function scaleTarget(
  subject: Subject,
  replicas: number,
  { writer }: ApplyOptions,
): Promise<KubeObject | undefined> {
  const scaler = scalerWrite(subject, replicas === 0);
  const scale = scaleWrite(subject, replicas);
  // KEDA must let go of the target before its replicas are set, or it would set them back.
  if (scaler !== undefined) await writer.write(scaler);
  return scale && (await writer.write(scale));
}

/**
 * The generation that our own scaling made is stored with what is stored after it, not by a write of its own; one that
 * holds somebody's newer template too is not.
 */
function withFence(task: Task, scaled: KubeObject | undefined): Task {
  const { subject, decision } = task;
  const { target, kind } = subject;
  const { next } = decision;
  if (scaled === undefined || target === undefined || next.fence !== fenceOf(target.metadata)) return task;
  // As the server answered a patch of the target.
  const template = kind.template(scaled as Target);
  if (template === undefined || targetRevision(subject, template) !== next.applied) return task;
  return { ...task, decision: { ...decision, next: { ...next, fence: fenceOf(scaled.metadata) } } };
}

/** While the provider changes both routes may lead to the canary. */
async function rollBackRoutes(
  subject: Subject,
  mark: RollbackMark,
  { rollbacks }: ApplyOptions,
): Promise<void> {
  const former = formerRouter(subject);
  await Promise.all([
    rollbacks.rollBack(subject, mark),
    ...(former ? [rollbacks.rollBack({ ...subject, router: former }, mark)] : []),
  ]);
}

/**
 * Replaces the status of the version that was decided on: a newer one is another decision's. Content and version are of
 * one object: the snapshot may have an older one by now, whose status would take the newer one's place.
 */
async function store(
  { subject, last, decision, spec, judgement }: Task,
  options: ApplyOptions,
): Promise<void> {
  const { canary } = subject;
  const { next, notice } = decision;
  const stored = await storeStatus(
    canary.object,
    { last, next, wanted: wantedTraffic(next, spec), notice, judgement },
    options,
  );
  if (stored === "told" && notice !== undefined)
    options.eventHooks.tell(canary, subject.uid, next, { type: noticeType(notice), message: notice.message });
  if (stored === "same") return;
  options.metrics.state(canary, decision.next, wantedTraffic(next, spec));
  options.metrics.checks(canary, decision.next.checks);
  if (judgement !== undefined) options.metrics.judged(canary, judgement);
}

/** What a status is to say. */
export type StatusNews = Pick<StatusInput, "last" | "next" | "wanted" | "notice" | "judgement">;

/**
 * Writes a Canary's status where it is news, and an event where something new is in the way.
 *
 * @returns `same` where there was nothing to write, `told` where a new notice became an event
 * @throws ApiError on conflict: the version is not the newest any more
 */
export async function storeStatus(
  object: Canary,
  news: StatusNews,
  options: Pick<ApplyOptions, "writer" | "recorder" | "lease" | "clock">,
): Promise<"same" | "written" | "told"> {
  const status = buildStatus({
    ...news,
    before: object.status,
    targetKind: object.spec.targetRef?.kind ?? "Deployment",
    generation: object.metadata.generation ?? 0,
    epoch: options.lease.epoch(keyOf(object)),
    now: options.clock.now(),
  });
  if (status === undefined) return "same";
  await options.writer.write({ kind: "status", of: CanaryKind, object: { ...object, status } });
  const { notice } = news;
  const told = object.status?.conditions?.some(
    ({ type, message }) => type === "Ready" && message === notice?.message,
  );
  if (notice === undefined || told === true) return "written";
  options.recorder.event(object, noticeType(notice), notice.reason, notice.message);
  return "told";
}

/** What somebody asked for is no fault. */
function noticeType({ reason }: Notice): "Normal" | "Warning" {
  return ["Suspended", "Paused", "Queued"].includes(reason) ? "Normal" : "Warning";
}

function revisionWrite(subject: Subject, revision: string): Write | undefined {
  const { canary, snapshot, target, template, owner } = subject;
  const name = revisionName(canary.name, revision);
  if (template === undefined || targetRevision(subject, template) !== revision) return undefined;
  if (readRevision(snapshot, canary.namespace, name) !== undefined) return undefined;
  const order = target?.metadata.generation ?? 0;
  return {
    kind: "create",
    of: ControllerRevisionKind,
    object: buildRevision(name, canary.namespace, template, owner, order),
  };
}

function formerPrimaryWrite({ canary, snapshot, primary, owner }: Subject, run: string): Write | undefined {
  const name = formerPrimaryName(canary.name, run);
  const template = primary && presentTemplate(primary);
  if (template === undefined || readRevision(snapshot, canary.namespace, name) !== undefined)
    return undefined;
  const order = primary?.metadata.generation ?? 0;
  return {
    kind: "create",
    of: ControllerRevisionKind,
    object: buildRevision(name, canary.namespace, template, owner, order),
  };
}

/** Pauses the target's ScaledObject at 0 pods, or lets it scale again. */
function scalerWrite({ canary, snapshot }: Subject, paused: boolean): Write | undefined {
  return pauseWrite(scaledObjectOf(canary, snapshot), paused);
}

function scaleWrite({ canary, kind, target }: Subject, replicas: number): Write | undefined {
  const operations = target ? kind.scale(target, replicas) : [];
  if (target === undefined || operations.length === 0) return undefined;
  return {
    kind: "patch",
    of: kind.kind,
    namespace: canary.namespace,
    name: target.metadata.name,
    operations,
  };
}

/** An action counts once: its annotations go, if nobody has asked for something else meanwhile. */
function clearActionWrite({ canary }: Subject, pause: boolean | undefined): Write {
  const annotations = canary.object.metadata.annotations;
  const gone = [actionAnnotation, revisionAnnotation, byAnnotation, reasonAnnotation].filter(
    (name) => annotations?.[name] !== undefined,
  );
  return {
    kind: "patch",
    of: CanaryKind,
    namespace: canary.namespace,
    name: canary.name,
    operations: [
      {
        op: "test",
        path: `/metadata/annotations/${actionAnnotation.replaceAll("/", "~1")}`,
        value: annotations?.[actionAnnotation],
      },
      ...annotationOperations(annotations, {
        ...Object.fromEntries(gone.map((name) => [name, undefined])),
        ...(pause !== undefined && { [pausedAnnotation]: pause ? "true" : undefined }),
      }),
    ],
  };
}

/** An apex Service that was there before the Canary leads to the target again; one of ours goes with the Canary. */
function apexRevert({ canary, snapshot, selector, owner }: Subject): readonly Write[] {
  const apex = snapshot.get(ServiceKind, canary.namespace, canary.names.apexService);
  // Without a selector label the target is a Service, which nobody has written.
  if (apex === undefined || selector === undefined || isOwned(apex, owner)) return [];
  const selecting = { ...apex, spec: { ...apex.spec, selector: { [selector.name]: selector.value } } };
  // What the server chose (cluster address, node ports) stands in both.
  const object = givenBack(apex) ?? selecting;
  return [{ kind: "replace", of: ServiceKind, object }];
}

/** Puts the finalizer on a Canary that wants its target back, or takes it away. */
export function finalizerWrite({ canary, snapshot }: Subject, wanted: boolean): Write | undefined {
  const present = snapshot.get(CanaryKind, canary.namespace, canary.name) ?? canary.object;
  const { finalizers = [], resourceVersion } = present.metadata;
  if (finalizers.includes(finalizer) === wanted) return undefined;
  const value = wanted ? [...finalizers, finalizer] : finalizers.filter((name) => name !== finalizer);
  return {
    kind: "patch",
    of: CanaryKind,
    namespace: canary.namespace,
    name: canary.name,
    operations: [
      { op: "test", path: "/metadata/resourceVersion", value: resourceVersion },
      { op: "add", path: "/metadata/finalizers", value },
    ],
  };
}

async function prune({ subject, decision }: Task, { client }: ApplyOptions): Promise<void> {
  const { canary, snapshot, uid } = subject;
  const { applied, promoted } = decision.next;
  const inUse = new Set(
    [applied, promoted].flatMap((hash) => (hash ? [revisionName(canary.name, hash)] : [])),
  );
  for (const { metadata } of unneededRevisions(snapshot, uid, inUse)) {
    await client.delete(ControllerRevisionKind, canary.namespace, metadata.name);
  }
}
