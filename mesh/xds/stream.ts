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
  /** Milliseconds after which routes go out although the proxy does not confirm what they need. */
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
  /** New clusters whose endpoints the proxy has not acknowledged yet. */
  const awaitingEndpoints = new Set<string>();
  let view = first;
  let runtimeKeys: ReadonlySet<string> = new Set();
  let runtimeRefused = false;
  let patienceEnded = false;
  let cancelPatience: (() => void) | undefined;
  let cancelRemoval: (() => void) | undefined;

  /** A proxy that reads our runtime layer gets the safe table, any other the real weights. */
  function targetOf(type: ResourceType): Layers {
    const readsRuntime = subscriptions.get("runtime")?.names.has("fl") === true && !runtimeRefused;
    return type === "route" && !readsRuntime ? view.plainRoutes : view.resources[type];
  }

  function mayChangeRoutes(): boolean {
    if (patienceEnded) return true;
    const clusters = subscriptions.get("cluster");
    if (clusters?.answered && differenceOfLayers(clusters.acknowledged, targetOf("cluster")).added.length > 0)
      return false;
    if (awaitingEndpoints.size > 0) return false;
    const runtime = subscriptions.get("runtime");
    if (runtime === undefined || runtimeRefused || view.runtimeKeys === runtimeKeys) return true;
    for (const key of view.runtimeKeys) if (!runtimeKeys.has(key)) return false;
    return true;
  }

  function waitsForOthers(type: ResourceType): boolean {
    return (type === "route" || type === "listener") && !mayChangeRoutes();
  }

  function flush(): void {
    for (const type of resourceTypes) {
      const subscription = subscriptions.get(type);
      if (subscription !== undefined) flushType(type, subscription);
    }
    removeLater();
  }

  function flushType(type: ResourceType, subscription: Subscription): void {
    if (subscription.inFlight.length >= inFlightLimit) return;
    // Weights are small and never wait behind what is large.
    if (type !== "runtime" && !isOpen()) return;
    const target = targetOf(type);
    const waits = waitsForOthers(type);
    if (waits) startPatience();
    if (!subscription.answered) {
      // A proxy that reconnects with routes goes on with them until it has what the new ones need.
      if (waits && subscription.held.size > 0) return;
      const answer = keepUsed(type, subscription, firstAnswer(subscription, target));
      subscription.answered = true;
      subscription.held = new Map();
      send(type, subscription, target, answer);
      return;
    }
    if (waits) {
      const answer = freshAnswer(subscription, target);
      if (answer.changed.length + answer.removed.length > 0)
        send(type, subscription, subscription.sent ?? target, answer);
      return;
    }
    const answer = keepUsed(type, subscription, nextAnswer(subscription, target));
    if (answer.changed.length + answer.removed.length > 0) send(type, subscription, target, answer);
    else if (subscription.sent !== target) moveOn(subscription, target);
  }

  /** The view has changed in what the proxy does not ask for: it holds the new one as it holds the old. */
  function moveOn(subscription: Subscription, target: Layers): void {
    if (subscription.inFlight.length > 0) return;
    subscription.sent = target;
    subscription.acknowledged = target;
  }

  /** Holds back removals of clusters and endpoints while routes may still use them. */
  function keepUsed(type: ResourceType, subscription: Subscription, answer: Answer): Answer {
    for (const { name } of answer.changed) subscription.leftover.delete(name);
    if (type !== "cluster" && type !== "endpoint") return answer;
    const removed: string[] = [];
    for (const name of answer.removed) {
      if (subscription.fresh.has(name)) removed.push(name);
      else subscription.leftover.add(name);
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
    if (type === "cluster") expectEndpoints(changed);
    subscription.fresh.clear();
    subscription.sent = layers;
    subscription.inFlight.push({ nonce: response.nonce, layers, changed, runtimeKeys: view.runtimeKeys });
    write(response.bytes);
  }

  /**
   * A cluster that is new or changed warms until its endpoints come. For a new one the proxy asks; for a changed one it
   * does not, as it has asked before, so they are sent again.
   */
  function expectEndpoints(clusters: readonly Resource[]): void {
    const endpoints = subscriptions.get("endpoint");
    for (const { name } of clusters) {
      if (findResource(view.resources.endpoint, name) === undefined) continue;
      awaitingEndpoints.add(name);
      if (endpoints?.names.has(name)) endpoints.fresh.add(name);
    }
  }

  function acknowledge(type: ResourceType, subscription: Subscription, { nonce, error }: DeltaRequest): void {
    const index = subscription.inFlight.findIndex((answer) => answer.nonce === nonce);
    const answer = subscription.inFlight[index];
    if (answer === undefined) return;
    subscription.inFlight.splice(0, index + 1);
    if (type === "endpoint") for (const { name } of answer.changed) awaitingEndpoints.delete(name);
    if (error !== undefined) {
      if (type === "runtime") runtimeRefused = true;
      if (type === "cluster") for (const { name } of answer.changed) awaitingEndpoints.delete(name);
      subscription.acknowledged ??= answer.layers;
      options.onRejected({ type, resources: answer.changed, error });
      return;
    }
    subscription.acknowledged = answer.layers;
    if (type === "runtime") {
      runtimeKeys = answer.runtimeKeys;
      runtimeRefused = false;
    }
    options.onAcknowledged({ type, nonce, resources: answer.changed });
  }

  function startPatience(): void {
    cancelPatience ??= clock.after(patience, () => {
      cancelPatience = undefined;
      patienceEnded = true;
      awaitingEndpoints.clear();
      flush();
      patienceEnded = false;
    });
  }

  /** Once the routes are acknowledged and requests had time to end, tells the proxy to forget what none uses. */
  function removeLater(): void {
    if (mayChangeRoutes()) {
      cancelPatience?.();
      cancelPatience = undefined;
    }
    const leftovers = () =>
      (["cluster", "endpoint"] as const).some((type) => (subscriptions.get(type)?.leftover.size ?? 0) > 0);
    if (!leftovers() || cancelRemoval !== undefined || !stream.holds("route", "listener")) return;
    cancelRemoval = clock.after(removalDelay, () => {
      cancelRemoval = undefined;
      if (!stream.holds("route", "listener")) return removeLater();
      for (const type of ["cluster", "endpoint"] as const) {
        const subscription = subscriptions.get(type);
        if (subscription === undefined || subscription.leftover.size === 0 || !isOpen()) continue;
        const removed = [...subscription.leftover].filter(
          (name) => findResource(targetOf(type), name) === undefined,
        );
        subscription.leftover.clear();
        if (removed.length > 0) send(type, subscription, subscription.sent ?? [], { changed: [], removed });
      }
    });
  }

  const stream: DeltaStream = {
    request(type, request) {
      let subscription = subscriptions.get(type);
      if (subscription === undefined) {
        subscription = subscribe(request, nameSets);
        // Endpoints that a reconnecting proxy holds are of the cluster as it was: one that has changed warms for them.
        if (type === "endpoint") subscription.held = without(subscription.held, awaitingEndpoints);
        subscriptions.set(type, subscription);
      } else {
        changeNames(subscription, request, nameSets);
        if (request.nonce !== "") acknowledge(type, subscription, request);
      }
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

function without(held: ReadonlyMap<string, string>, names: ReadonlySet<string>): ReadonlyMap<string, string> {
  return names.size === 0 ? held : new Map([...held].filter(([name]) => !names.has(name)));
}
