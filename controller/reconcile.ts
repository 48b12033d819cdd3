import { advanceSettings, readRunSettings, withoutShares } from "../analysis/settings.ts";
import type { ReadCanary } from "../api/canary/types.ts";
import { type Canary, CanaryKind } from "../api/kinds.ts";
import { describeProblem, hasErrors } from "../api/read.ts";
import type { Kind } from "../api/resource.ts";
import type { Snapshot } from "../kube/contract.ts";
import { applyDecision, applyEffect, finalizerWrite, lowersOnly, storeStatus, type Task } from "./apply.ts";
import { followAsk } from "./ask.ts";
import type { ReconcileOptions } from "./context.ts";
import { decide } from "./decide/decide.ts";
import type { Notice } from "./decide/effects.ts";
import { liveRun, type State } from "./decide/state.ts";
import { wantedTraffic } from "./decide/traffic.ts";
import { decisionSpec, notDriven } from "./decision-spec.ts";
import { closeEntry, drainsIn, type Entry, howEnded } from "./entry.ts";
import { formerRouter } from "./former-provider.ts";
import { dependenciesOf, dependency, keyOf } from "./key-index.ts";
import { observe } from "./observe.ts";
import { readOnce } from "./reading.ts";
import { followRescues } from "./rescues.ts";
import { chooseRouter } from "./routers/choose.ts";
import { ScaledObjectKind } from "./scalers/scaled-object.ts";
import { readState } from "./status/read.ts";
import { isUsersRoute, readSubject, routeVersion, type Subject, signalsRun } from "./subject.ts";
import { followWeight } from "./weight.ts";

/** Without the lease nothing is done; it is looked again how it stands. */
const withoutLease = 1000;

/** A first list takes some milliseconds. */
const notListedYet = 200;

/** One look at one canary: observe, decide, apply. What it throws makes it come again with back-off. */
export async function reconcile(
  key: string,
  options: ReconcileOptions,
): Promise<{ after: number } | undefined> {
  const { index, entries, lease } = options;
  const [namespace = "", name = ""] = key.split("/");
  const snapshot = options.overlay.view(options.snapshot());
  const object = snapshot.get(CanaryKind, namespace, name);
  const entry = entries.get(key) ?? { key };
  entries.set(key, entry);
  entry.looked = options.overlay.turn();
  if (object === undefined) {
    forget(entry, namespace, options);
    return undefined;
  }
  const flagger = options.flaggers.beside(namespace);
  // A run that is under way here is brought to its end: its canary must not lose its guard.
  if (flagger !== undefined && !hasWork(readState(object.status))) {
    // Two controllers of one weight: not a word is written, and nothing of ours goes on.
    closeEntry(entry);
    entries.delete(key);
    options.logger.warn(
      { canary: key, flagger: flagger.deployment },
      "Flagger drives this canary: `fairlead migrate flagger` takes it over",
    );
    return undefined;
  }
  const { meshProvider: provider, crossNamespaceRefs, envoyVersion } = options.settings;
  const defaults = { provider, crossNamespaceRefs, ...(envoyVersion !== undefined && { envoyVersion }) };
  const known = entry.reading?.reading.value?.service;
  entry.reading = readOnce(object, entry.reading, defaults);
  const { reading } = entry.reading;
  const error = reading.problems.find((problem) => hasErrors([problem]));
  if (reading.value === undefined) {
    const message = error === undefined ? "spec cannot be read" : describeProblem(error);
    return refuse(object, { reason: "InvalidSpec", message, stalled: true }, options);
  }
  const canary = reading.value;
  // A spec's reading has one object for its service. Of a new one the configs are known below.
  if (canary.service !== known) {
    delete entry.configs;
    index.set(key, dependenciesOf(canary, []));
  }
  const obstacle = inTheWay(canary, snapshot);
  if (obstacle !== undefined) return refuse(object, obstacle, options);
  const kinds = [...chooseRouter(canary).kinds, ...scalerKinds(canary)];
  if (!options.watches(kinds)) {
    const plurals = kinds.map(({ plural, group }) => `${plural}.${group}`).join(", ");
    const message = `${plurals} are not listed yet: are their CRDs installed?`;
    await refuse(object, { reason: "NotListed", message, stalled: false }, options);
    return { after: notListedYet };
  }
  entry.canary = canary;
  const { measurement } = entry;
  const prepared = prepare(entry, canary, snapshot, options);
  if (!lease.held(key)) return { after: withoutLease };
  const { subject, decision, task } = prepared;
  const configs = [...subject.configs.tracked.map((config) => config.key), ...subject.configs.missing];
  if (entry.configs !== configs.join(" ")) {
    entry.configs = configs.join(" ");
    index.set(key, dependenciesOf(canary, configs));
  }
  const finalizer = finalizerWrite(subject, true);
  if (canary.revertOnDeletion && finalizer !== undefined && object.metadata.deletionTimestamp === undefined) {
    await options.writer.write(finalizer);
    return { after: 0 };
  }
  await applyDecision(task, options);
  // One that came meanwhile is for the next decision.
  if (entry.measurement === measurement) delete entry.measurement;
  followAsk(entry, subject, decision.ask, options);
  followWeight(entry, subject, wantedTraffic(decision.next, task.spec), options);
  return decision.again === undefined ? undefined : { after: decision.again };
}

/** The guard's verdict: what lowers is done now, beside whatever goes on for this canary; the rest follows in its turn. */
function rollBackNow(entry: Entry, options: ReconcileOptions): void {
  const { canary } = entry;
  const snapshot = options.overlay.view(options.snapshot());
  const object = canary && snapshot.get(CanaryKind, canary.namespace, canary.name);
  if (canary === undefined || object === undefined) return;
  const { decision, task } = prepare(entry, { ...canary, object }, snapshot, options);
  for (const effect of decision.effects.filter(lowersOnly)) {
    applyEffect(effect, task, options).catch((error: unknown) =>
      options.logger.warn({ err: error, canary: entry.key }, "the guard's write failed, it is tried again"),
    );
  }
  options.enqueue(entry.key);
}

function prepare(entry: Entry, canary: ReadCanary, snapshot: Snapshot, options: ReconcileOptions) {
  const { settings, clock } = options;
  const router = chooseRouter(canary);
  const subject = readSubject(canary, snapshot, router, settings);
  const state = readState(canary.object.status);
  followRun(entry, subject, state, options);
  const spec = decisionSpec(canary, advanceSettings(canary.analysis));
  const wanted = wantedTraffic(state, spec);
  const route = router.observe(canary, wanted, snapshot);
  // After a restart the guard is armed before the lease is won.
  if (route.kind === "present" && route.asWanted) followWeight(entry, subject, wanted, options);
  const version = routeVersion(subject);
  const held = options.acknowledged?.({
    ...router.route(canary),
    ...(version !== undefined && { resourceVersion: version }),
  });
  options.runs.set(entry.key, isLive(state));
  const queued = options.runs.obstacle(entry.key, canary, snapshot);
  const observation = observe(subject, state, wanted, {
    now: clock.now(),
    route,
    freshRun: options.freshRun(),
    formerIsListed: options.watches(formerRouter(subject)?.kinds ?? []),
    drainsIn: drainsIn(entry, route, held, clock),
    isOwn: (write) => options.writer.isOwn(write),
    ...(queued !== undefined && { queued }),
    ...(entry.measurement && { measurement: entry.measurement }),
    ...(entry.harm && { harm: entry.harm }),
    ...(entry.rescues && { rescues: entry.rescues }),
  });
  const decision = decide(state, observation, spec);
  // Known before it is stored, so that two canaries do not both take the last place.
  options.runs.set(entry.key, isLive(decision.next));
  const judgement = entry.measurement?.judgement;
  const task: Task = { subject, last: state, decision, spec, ...(judgement && { judgement }) };
  return { subject, decision, task };
}

/** Kinds of scalers that few clusters have. */
function scalerKinds({ autoscaler }: ReadCanary): readonly Kind[] {
  return autoscaler?.kind === "ScaledObject" ? [ScaledObjectKind] : [];
}

function isLive(state: State): boolean {
  return liveRun(state) !== undefined;
}

/** Watches the signals of the run under way, and of no other. */
function followRun(entry: Entry, subject: Subject, state: State, options: ReconcileOptions): void {
  const live = state.phase === "Finalising" || subject.canary.skipAnalysis ? undefined : liveRun(state);
  const { analysis: before } = entry;
  if (before !== undefined && before.run.run === live?.run.id) return;
  before?.close(howEnded(state, before.run));
  entry.tracked?.stop();
  delete entry.analysis;
  delete entry.harm;
  delete entry.tracked;
  if (live === undefined) return;
  const { settings, problems } = readRunSettings(subject.canary, options.sources);
  for (const { severity, message } of problems) {
    if (severity === "warning" && live.run.judge === undefined && options.lease.held(entry.key))
      options.recorder.event(subject.canary.object, "Warning", "Shield", message);
  }
  const analysis = options.analyst.start(
    signalsRun(subject, live.run),
    isUsersRoute(subject) ? withoutShares(settings) : settings,
    live.run.judge,
  );
  entry.analysis = analysis;
  followRescues(entry, subject.canary, analysis, options);
  analysis.onHarm((harm) => {
    if (entry.analysis !== analysis) return;
    entry.harm = harm;
    rollBackNow(entry, options);
  });
}

/** Whether a run of this controller's own is under way, or has left something to do. */
function hasWork(state: State): boolean {
  return liveRun(state) !== undefined || ("cleanup" in state && state.closed !== undefined);
}

/** Why a Canary that can be read is not driven. */
function inTheWay(canary: ReadCanary, snapshot: Snapshot): Notice | undefined {
  const { kind, name } = canary.target;
  let rival: Canary | undefined;
  for (const other of snapshot.list(CanaryKind, canary.namespace)) {
    const { targetRef } = other.spec;
    if (targetRef?.name !== name || targetRef.kind !== kind) continue;
    if (rival === undefined || byAge(other, rival) < 0) rival = other;
  }
  if (rival !== undefined && rival.metadata.uid !== canary.object.metadata.uid) {
    const message = `${canary.target.kind.toLowerCase()} \`${canary.target.name}\` is already the target of canary \`${rival.metadata.name}\``;
    return { reason: "TargetTaken", message, stalled: true };
  }
  const message = notDriven(canary);
  return message === undefined ? undefined : { reason: "NotDriven", message, stalled: true };
}

function byAge(a: Canary, b: Canary): number {
  const [first, second] = [a, b].map(
    ({ metadata }) => `${metadata.creationTimestamp ?? ""} ${metadata.name}`,
  );
  return (first ?? "") < (second ?? "") ? -1 : 1;
}

/** Says why in the status; everything else stays as it is. A run under way keeps its guard. */
async function refuse(
  object: Canary,
  notice: Notice,
  options: ReconcileOptions,
): Promise<{ after: number } | undefined> {
  if (!options.lease.held(keyOf(object))) return { after: withoutLease };
  const state = readState(object.status);
  await storeStatus(object, { last: state, next: state, notice, judgement: undefined }, options);
  return undefined;
}

function forget(
  entry: Entry,
  namespace: string,
  { index, entries, metrics, enqueue, runs }: ReconcileOptions,
): void {
  closeEntry(entry);
  entries.delete(entry.key);
  index.remove(entry.key);
  runs.remove(entry.key);
  const { name: target, kind = "" } = entry.canary?.target ?? {};
  if (target === undefined) return;
  metrics.forget(namespace, target);
  // One that was refused because of this one may go on now.
  for (const key of index.of(dependency(kind, namespace, target))) enqueue(key);
}
