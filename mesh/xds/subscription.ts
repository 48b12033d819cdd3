import type { Resource } from "../build/resource.ts";
import { differenceOfLayers, findResource, type Layers, namesOf } from "../build/resource-set.ts";
import { type NameSets, noNames } from "./name-sets.ts";
import type { DeltaRequest } from "./request.ts";

/** An answer that the proxy has not acknowledged yet. */
export interface Unacknowledged {
  readonly nonce: string;
  readonly layers: Layers;
  readonly changed: readonly Resource[];
  readonly runtimeKeys: ReadonlySet<string>;
}

/** What one stream has asked for of one type, and what it has been told. */
export interface Subscription {
  wildcard: boolean;
  names: ReadonlySet<string>;
  /** Asked for and not answered yet: answered at once, whatever else waits. */
  readonly fresh: Set<string>;
  /** Whether the first answer went out; it does even if there is nothing to tell. */
  answered: boolean;
  /** The view that the proxy has been told. */
  sent: Layers | undefined;
  acknowledged: Layers | undefined;
  /** Names that the proxy still holds although `sent` has them no more, and since when. */
  readonly leftover: Map<string, number>;
  /** Versions told ahead of `sent`, to who asked while the rest waited. */
  readonly early: Map<string, string>;
  readonly inFlight: Unacknowledged[];
  /** What a reconnecting proxy says it holds; forgotten with the first answer. */
  held: ReadonlyMap<string, string>;
}

/** What to send: resources in full, names to forget. */
export interface Answer {
  readonly changed: readonly Resource[];
  readonly removed: readonly string[];
}

/** A subscription of the first request of its type. No names at all means everything, as does the name `*`. */
export function subscribe(request: DeltaRequest, sets: NameSets): Subscription {
  const subscription: Subscription = {
    wildcard: request.subscribe.length === 0,
    names: noNames,
    fresh: new Set(),
    answered: false,
    sent: undefined,
    acknowledged: undefined,
    leftover: new Map(),
    early: new Map(),
    inFlight: [],
    held: request.held,
  };
  changeNames(subscription, request, sets);
  return subscription;
}

/** Follows a request's names. A name asked for again is answered again, as the protocol wants. */
export function changeNames(
  subscription: Subscription,
  request: Pick<DeltaRequest, "subscribe" | "unsubscribe">,
  sets: NameSets,
): void {
  const named = request.subscribe.filter((name) => name !== "*");
  subscription.names = sets.step(subscription.names, named, request.unsubscribe);
  for (const name of request.unsubscribe) {
    if (name === "*") subscription.wildcard = false;
    subscription.fresh.delete(name);
    subscription.leftover.delete(name);
  }
  if (named.length < request.subscribe.length) subscription.wildcard = true;
  for (const name of named) subscription.fresh.add(name);
}

/** Versions that a proxy says it holds, but for these names: they are told again. */
export function without(
  held: ReadonlyMap<string, string>,
  names: ReadonlySet<string>,
): ReadonlyMap<string, string> {
  return held.size === 0 || names.size === 0 ? held : new Map([...held].filter(([name]) => !names.has(name)));
}

/** The first answer: everything asked for that the proxy does not hold in this very version. */
export function firstAnswer({ wildcard, names, held }: Subscription, target: Layers): Answer {
  const wanted = wildcard ? new Set([...namesOf(target), ...names]) : names;
  const changed: Resource[] = [];
  const removed: string[] = [];
  for (const name of wanted) {
    const resource = findResource(target, name);
    if (resource === undefined) removed.push(name);
    else if (held.get(name) !== resource.version) changed.push(resource);
  }
  for (const name of held.keys()) if (!wanted.has(name)) removed.push(name);
  return { changed, removed };
}

/** What a proxy that was told `sent` must be told now, and the names that it asked for meanwhile. */
export function nextAnswer({ wildcard, names, fresh, sent }: Subscription, target: Layers): Answer {
  const difference = differenceOfLayers(sent, target);
  if (fresh.size === 0 && wildcard) return difference;
  const wanted = (name: string) => wildcard || names.has(name);
  const changed = difference.changed.filter(({ name }) => wanted(name) && !fresh.has(name));
  const removed = difference.removed.filter((name) => wanted(name) && !fresh.has(name));
  return withFresh({ changed, removed }, fresh, target);
}

/** Only the names asked for since the last answer. */
export function freshAnswer({ fresh }: Subscription, target: Layers): Answer {
  return withFresh({ changed: [], removed: [] }, fresh, target);
}

function withFresh({ changed, removed }: Answer, fresh: ReadonlySet<string>, target: Layers): Answer {
  const found: Resource[] = [];
  const missing: string[] = [];
  for (const name of fresh) {
    const resource = findResource(target, name);
    if (resource === undefined) missing.push(name);
    else found.push(resource);
  }
  return { changed: [...changed, ...found], removed: [...removed, ...missing] };
}

/** Whether the proxy has acknowledged all of `target` that it asked for. */
export function holds(subscription: Subscription, target: Layers): boolean {
  if (!subscription.answered || subscription.acknowledged === undefined) return false;
  const { changed, removed } = differenceOfLayers(subscription.acknowledged, target);
  if (subscription.wildcard) return changed.length === 0 && removed.length === 0;
  return (
    !changed.some(({ name }) => subscription.names.has(name)) &&
    !removed.some((name) => subscription.names.has(name))
  );
}

/** What of `target` the proxy asked for and has not acknowledged. */
export function lacking(
  { acknowledged, wildcard, names }: Subscription,
  target: Layers,
): readonly Resource[] {
  const { changed } = differenceOfLayers(acknowledged, target);
  return wildcard ? changed : changed.filter(({ name }) => names.has(name));
}
