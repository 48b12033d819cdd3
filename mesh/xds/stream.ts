import type { Clock } from "../../lib/clock.ts";
import { type Resource, type ResourceType, resourceTypes } from "../build/resource.ts";
import { differenceOfLayers, findResource, type Layers } from "../build/resource-set.ts";
import type { View } from "../build/view.ts";
import type { NameSets } from "./name-sets.ts";
import type { DeltaRequest } from "./request.ts";
import type { Response, Responses } from "./response.ts";
import {
  type Answer,
  changeNames,
  firstAnswer,
  freshAnswer,
  holds,
  lacking,
  nextAnswer,
  type Subscription,
  subscribe,
  without,
} from "./subscription.ts";
import { stateOf, type TypeState, type Wanted, wantedOf } from "./subscription-state.ts";

/** What a proxy refused, in Envoy's words. */
export interface Rejection {
  readonly type: ResourceType;
  /** Everything that the refused answer carried; which of it was at fault stands in `error`, if anywhere. */
  readonly resources: readonly Resource[];
  readonly error: string;
}

export interface Acknowledgement {
  readonly type: ResourceType;
  readonly nonce: string;
  readonly resources: readonly Resource[];
}

export interface StreamOptions {
  readonly responses: Responses;
  readonly nameSets: NameSets;
  readonly clock: Clock;
  /** Whether a large answer may be written now; where not, `drained` is called when it may. */
  readonly isOpen: () => boolean;
  readonly write: (bytes: Buffer) => void;
  readonly onAcknowledged: (acknowledgement: Acknowledgement) => void;
  readonly onRejected: (rejection: Rejection) => void;
  /** Names that the proxy asks for, and those that it says it holds, before they are answered: `publish` may be called. */
  readonly onAsked?: (type: ResourceType, names: readonly string[]) => void;
  /** Milliseconds between the ACK of the routes that no longer use a cluster and its removal: requests end meanwhile. */
  readonly removalDelay?: number;
  /** Milliseconds that routes wait for a proxy that does not confirm what they need, once for each new cluster. */
  readonly patience?: number;
}

/** Answers under way of one type; more wait and are merged, so a slow proxy skips what is outdated. */
const inFlightLimit = 2;

/** One proxy on one stream, whichever form of the protocol it speaks. */
export interface ProxyStream {
  /** Makes `view` what the proxy should hold. */
  publish(view: View): void;
  /** The transport takes more. */
  drained(): void;
  /** Whether it has acknowledged all it asked for of these types, as the last view has them. */
  holds(...types: readonly ResourceType[]): boolean;
  asksFor(type: ResourceType): boolean;
  /** What it asked for and has not acknowledged as it is now. */
  lacks(type: ResourceType): readonly Resource[];
  /** Looks into what it holds of a type; undefined where it asked for none. */
  stateOf(type: ResourceType): TypeState | undefined;
  /** All of a type that it asked for and should hold now. */
  wanted(type: ResourceType): readonly Wanted[];
  close(): void;
}

/** One proxy on one delta stream. */
export interface DeltaStream extends ProxyStream {
  request(type: ResourceType, request: DeltaRequest): void;
}

/**
 * The state of one delta stream: make before break, at most two answers of a type under way.
 *
 * New clusters and their endpoints are acknowledged before routes and listeners change, runtime keys before the
 * routes that read them; what is no longer used goes last. A name's first answer never waits.
 */
export function createDeltaStream(first: View, options: StreamOptions): DeltaStream {
  const { responses, nameSets, clock, isOpen, write, removalDelay = 5000, patience = 5000 } = options;
  const subscriptions = new Map<ResourceType, Subscription>();
  /** New clusters that the proxy has not acknowledged yet, and since when: Envoy does so once they are warm. */
  const awaitedClusters = new Map<string, number>();
  /** New clusters whose endpoints the proxy has not acknowledged yet, and since when. */
  const awaitedEndpoints = new Map<string, number>();
  /** Clusters told to a reconnecting proxy before it asked for endpoints: each is new to it, or has changed. */
  const toldBeforeEndpoints = new Set<string>();
  let view = first;
  let runtimeKeys: ReadonlySet<string> = new Set();
  let runtimeRefused = false;
  /** Keys of the newest answer. */
  let toldKeys: ReadonlySet<string> | undefined;
  /** Whether the proxy has reconnected and goes on with routes of before. */
  let mayHoldOldRoutes = false;
  let patienceEnded = false;
  let cancelPatience: (() => void) | undefined;
  let cancelRemoval: (() => void) | undefined;

  /** A proxy that reads our runtime layer gets the safe table, any other the real weights. */
  function targetOf(type: ResourceType): Layers {
    const readsRuntime = subscriptions.get("runtime")?.names.has("fl") === true && !runtimeRefused;
    return type === "route" && !readsRuntime ? view.plainRoutes : view.resources[type];
  }

  /** Whether one of these is still to come: what the view has no more, nothing waits for. */
  function isAwaited(names: ReadonlyMap<string, number>, type: "cluster" | "endpoint"): boolean {
    return names.keys().some((name) => findResource(view.resources[type], name) !== undefined);
  }

  function waitsForOthers(type: ResourceType, subscription: Subscription): boolean {
    const { held } = subscription;
    if (patienceEnded) return false;
    if (type === "runtime") return removesKeys(subscription);
    if (type !== "route" && type !== "listener") return false;
    const clusters = subscriptions.get("cluster");
    // Envoy asks for no clusters while one of its own is warming, and may not know those that its new routes lead to.
    if (held.size > 0 && clusters?.answered !== true) return true;
    if (clusters?.answered && differenceOfLayers(clusters.sent, targetOf("cluster")).added.length > 0)
      return true;
    if (isAwaited(awaitedClusters, "cluster") || isAwaited(awaitedEndpoints, "endpoint")) return true;
    const runtime = subscriptions.get("runtime");
    if (runtime === undefined || runtimeRefused) return false;
    // A key that comes back has its old value until the newest is sent.
    const isFull = runtime.inFlight.length >= inFlightLimit;
    if (isFull && differenceOfLayers(runtime.sent, targetOf("runtime")).changed.length > 0) return true;
    if (view.runtimeKeys === runtimeKeys) return false;
    for (const key of view.runtimeKeys) if (!runtimeKeys.has(key)) return true;
    return false;
  }

  /** Whether keys are to go that routes of a proxy may read which holds some since before, and has not had newer ones. */
  function removesKeys(subscription: Subscription): boolean {
    const routes = subscriptions.get("route");
    mayHoldOldRoutes &&= routes === undefined || !holds(routes, targetOf("route"));
    if (!mayHoldOldRoutes) return false;
    if (toldKeys !== undefined) return toldKeys.keys().some((key) => !view.runtimeKeys.has(key));
    // Which keys it has, nobody knows. Those of live canaries never wait: to be without is to have the primary alone.
    const { changed, removed } = firstAnswer(subscription, targetOf("runtime"));
    return view.runtimeKeys.size === 0 && changed.length + removed.length > 0;
  }

  function flush(): void {
    let waiting = false;
    for (const type of resourceTypes) {
      const subscription = subscriptions.get(type);
      if (subscription === undefined) continue;
      const waits = waitsForOthers(type, subscription);
      waiting ||= waits;
      flushType(type, subscription, waits);
    }
    if (waiting) startPatience();
    else stopPatience();
    removeLater();
  }

  function flushType(type: ResourceType, subscription: Subscription, waits: boolean): void {
    if (subscription.inFlight.length >= inFlightLimit) return;
    // Weights are small and never wait behind what is large.
    if (type !== "runtime" && !isOpen()) return;
    const target = targetOf(type);
    if (!subscription.answered) {
      // A proxy that reconnects with routes goes on with them until it has what the new ones need, and with the runtime
      // keys that only its old routes may read until it has the new ones.
      if (waits && subscription.held.size > 0) return;
      const answer = keepUsed(type, subscription, firstAnswer(subscription, target));
      if (type === "cluster")
        expectClusters(answer.changed.filter(({ name }) => !subscription.held.has(name)));
      subscription.answered = true;
      subscription.held = new Map();
      send(type, subscription, target, answer);
      return;
    }
    if (waits) {
      const answer = freshAnswer(subscription, target);
      if (answer.changed.length + answer.removed.length === 0) return;
      for (const { name, version } of answer.changed) subscription.early.set(name, version);
      for (const name of answer.removed) subscription.early.delete(name);
      send(type, subscription, subscription.sent ?? target, answer);
      return;
    }
    tellEarly(subscription, target);
    const answer = keepUsed(type, subscription, nextAnswer(subscription, target));
    if (type === "cluster")
      expectClusters(
        answer.changed.filter(({ name }) => findResource(subscription.sent, name) === undefined),
      );
    if (answer.changed.length + answer.removed.length > 0) send(type, subscription, target, answer);
    else if (subscription.sent !== target) moveOn(subscription, target);
  }

  /** The view has changed in what the proxy does not ask for: it holds the new one as it holds the old. */
  function moveOn(subscription: Subscription, target: Layers): void {
    if (subscription.inFlight.length > 0) return;
    subscription.sent = target;
    subscription.acknowledged = target;
  }

  /** What was told ahead of the rest is told again where the view has moved on, or back, since. */
  function tellEarly({ early, names, fresh }: Subscription, target: Layers): void {
    for (const [name, version] of early)
      if (names.has(name) && findResource(target, name)?.version !== version) fresh.add(name);
    early.clear();
  }

  /** Holds back removals of clusters and endpoints while routes may still use them. */
  function keepUsed(type: ResourceType, subscription: Subscription, answer: Answer): Answer {
    for (const { name } of answer.changed) subscription.leftover.delete(name);
    if (type !== "cluster" && type !== "endpoint") return answer;
    const removed: string[] = [];
    for (const name of answer.removed) {
      if (subscription.fresh.has(name)) removed.push(name);
      else if (!subscription.leftover.has(name)) subscription.leftover.set(name, clock.monotonic());
    }
    return { changed: answer.changed, removed };
  }

  function send(
    type: ResourceType,
    subscription: Subscription,
    layers: Layers,
    { changed, removed }: Answer,
  ): void {
    const response: Response = responses.delta(type, changed, removed);
    if (type === "cluster") sendEndpointsOf(changed);
    if (type === "runtime") toldKeys = view.runtimeKeys;
    subscription.fresh.clear();
    subscription.sent = layers;
    subscription.inFlight.push({ nonce: response.nonce, layers, changed, runtimeKeys: view.runtimeKeys });
    write(response.bytes);
  }

  /** New clusters: routes wait until the proxy has them, and their endpoints. */
  function expectClusters(clusters: readonly Resource[]): void {
    const now = clock.monotonic();
    for (const { name } of clusters) {
      awaitedClusters.set(name, now);
      if (findResource(view.resources.endpoint, name) !== undefined) awaitedEndpoints.set(name, now);
    }
  }

  /**
   * A cluster that is new or changed warms until its endpoints come. For a new one the proxy asks; for a changed one it
   * does not, as it has asked before, so they are sent again.
   */
  function sendEndpointsOf(clusters: readonly Resource[]): void {
    const endpoints = subscriptions.get("endpoint");
    const names = new Set(clusters.map(({ name }) => name));
    if (endpoints?.answered === false) endpoints.held = without(endpoints.held, names);
    for (const name of names) {
      if (endpoints === undefined) toldBeforeEndpoints.add(name);
      else if (endpoints.names.has(name) && findResource(view.resources.endpoint, name) !== undefined)
        endpoints.fresh.add(name);
    }
  }

  /** What of the endpoints that a reconnecting proxy says it holds its clusters have: one that is warming waits for them. */
  function reachedClusters(held: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    // Envoy asks for clusters first, unless some of its own are warming since before: then it waits for theirs.
    if (!subscriptions.has("cluster")) return new Map();
    const known = without(held, toldBeforeEndpoints);
    toldBeforeEndpoints.clear();
    return known;
  }

  function acknowledge(type: ResourceType, subscription: Subscription, { nonce, error }: DeltaRequest): void {
    const index = subscription.inFlight.findIndex((answer) => answer.nonce === nonce);
    const answer = subscription.inFlight[index];
    if (answer === undefined) return;
    const answered = subscription.inFlight.splice(0, index + 1);
    if (type === "endpoint")
      for (const { changed } of answered) for (const { name } of changed) awaitedEndpoints.delete(name);
    if (error !== undefined) {
      if (type === "runtime") runtimeRefused = true;
      if (type === "cluster") for (const { name } of answer.changed) awaitedEndpoints.delete(name);
      subscription.acknowledged ??= answer.layers;
      options.onRejected({ type, resources: answer.changed, error });
      return;
    }
    subscription.acknowledged = answer.layers;
    if (type === "cluster") acknowledgeClusters(subscription);
    if (type === "runtime") {
      runtimeKeys = answer.runtimeKeys;
      runtimeRefused = false;
    }
    options.onAcknowledged({ type, nonce, resources: answer.changed });
  }

  /** All clusters but those of answers still under way. */
  function acknowledgeClusters({ inFlight }: Subscription): void {
    const underWay = new Set(inFlight.flatMap(({ changed }) => changed.map(({ name }) => name)));
    for (const name of awaitedClusters.keys()) if (!underWay.has(name)) awaitedClusters.delete(name);
  }

  function startPatience(): void {
    if (cancelPatience !== undefined) return;
    const now = clock.monotonic();
    let oldest = now;
    for (const awaited of [awaitedClusters, awaitedEndpoints])
      for (const since of awaited.values()) oldest = Math.min(oldest, since);
    cancelPatience = clock.after(Math.max(0, oldest + patience - now), endPatience);
  }

  function stopPatience(): void {
    cancelPatience?.();
    cancelPatience = undefined;
  }

  /** Nothing is waited for twice, so a cluster that does not warm holds up the routes once. */
  function endPatience(): void {
    cancelPatience = undefined;
    const overdue = clock.monotonic() - patience;
    for (const awaited of [awaitedClusters, awaitedEndpoints])
      for (const [name, since] of awaited) if (since <= overdue) awaited.delete(name);
    patienceEnded = awaitedClusters.size + awaitedEndpoints.size === 0;
    flush();
    patienceEnded = false;
  }

  /** Once the routes are acknowledged and requests had time to end, tells the proxy to forget what none uses. */
  function removeLater(): void {
    const leftovers = () =>
      (["cluster", "endpoint"] as const).some((type) => (subscriptions.get(type)?.leftover.size ?? 0) > 0);
    if (!leftovers() || cancelRemoval !== undefined || !stream.holds("route", "listener")) return;
    const started = clock.monotonic();
    cancelRemoval = clock.after(removalDelay, () => {
      cancelRemoval = undefined;
      if (stream.holds("route", "listener")) removeSince(started);
      removeLater();
    });
  }

  /** Removes what was left over at that time: what came later has its own time to end. */
  function removeSince(started: number): void {
    for (const type of ["cluster", "endpoint"] as const) {
      const subscription = subscriptions.get(type);
      if (subscription === undefined || subscription.leftover.size === 0 || !isOpen()) continue;
      const due = [...subscription.leftover].flatMap(([name, since]) => (since <= started ? [name] : []));
      for (const name of due) subscription.leftover.delete(name);
      const removed = due.filter((name) => findResource(targetOf(type), name) === undefined);
      if (removed.length > 0) send(type, subscription, subscription.sent ?? [], { changed: [], removed });
    }
  }

  const stream: DeltaStream = {
    request(type, request) {
      let subscription = subscriptions.get(type);
      if (subscription === undefined) {
        subscription = subscribe(request, nameSets);
        if (type === "endpoint") subscription.held = reachedClusters(subscription.held);
        if (type === "runtime") mayHoldOldRoutes = subscription.held.size > 0;
        subscriptions.set(type, subscription);
      } else {
        changeNames(subscription, request, nameSets);
        if (request.nonce !== "") acknowledge(type, subscription, request);
      }
      if (type === "endpoint") for (const name of request.unsubscribe) awaitedEndpoints.delete(name);
      const names = [...request.subscribe, ...request.held.keys()];
      if (names.length > 0) options.onAsked?.(type, names);
      flush();
    },
    publish(next) {
      if (next === view) return;
      view = next;
      flush();
    },
    drained() {
      flush();
    },
    holds(...types) {
      return types.every((type) => {
        const subscription = subscriptions.get(type);
        return subscription === undefined || holds(subscription, targetOf(type));
      });
    },
    asksFor: (type) => subscriptions.has(type),
    lacks(type) {
      const subscription = subscriptions.get(type);
      return subscription === undefined ? [] : lacking(subscription, targetOf(type));
    },
    stateOf(type) {
      const subscription = subscriptions.get(type);
      return subscription && stateOf(subscription, targetOf(type));
    },
    wanted(type) {
      const subscription = subscriptions.get(type);
      return subscription === undefined ? [] : wantedOf(subscription, targetOf(type));
    },
    close() {
      cancelPatience?.();
      cancelRemoval?.();
    },
  };
  return stream;
}
