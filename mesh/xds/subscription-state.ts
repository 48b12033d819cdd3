import type { Resource } from "../build/resource.ts";
import { findResource, type Layers, namesOf } from "../build/resource-set.ts";
import { holds, lacking, type Subscription } from "./subscription.ts";

/** What of one type a proxy asked for, beside what it has acknowledged. */
export interface TypeState {
  /** Whether it has acknowledged all it asked for, as it is now. */
  readonly synced: boolean;
  /** Of all that it has acknowledged, 16 hexadecimal digits: two proxies that hold the same have the same. */
  readonly version: string;
  /** How many resources it has acknowledged. */
  readonly held: number;
  /** Names that it asked for and has not acknowledged as they are now. */
  readonly lacking: readonly string[];
  /** Names that it is still to be told to forget. */
  readonly leftover: readonly string[];
}

/** A resource that a proxy should hold. */
export interface Wanted {
  readonly resource: Resource;
  /** Whether the proxy has acknowledged it in this version. */
  readonly held: boolean;
}

/** Looks into a subscription; `target` is what its view has of the type. */
export function stateOf(subscription: Subscription, target: Layers): TypeState {
  let [held, sum] = [0, 0n];
  for (const { version } of askedFor(subscription, subscription.acknowledged)) {
    held += 1;
    // Versions are 64 bits of a hash: their sum depends neither on their order nor on the layers they came by.
    sum += BigInt(`0x${version}`);
  }
  return {
    synced: holds(subscription, target),
    version: BigInt.asUintN(64, sum).toString(16).padStart(16, "0"),
    held,
    lacking: lacking(subscription, target).map(({ name }) => name),
    leftover: [...subscription.leftover],
  };
}

/** All that the proxy asked for and should hold, by name. */
export function wantedOf(subscription: Subscription, target: Layers): readonly Wanted[] {
  const { acknowledged } = subscription;
  return Array.from(askedFor(subscription, target), (resource) => ({
    resource,
    held: findResource(acknowledged, resource.name)?.version === resource.version,
  })).sort((a, b) => (a.resource.name < b.resource.name ? -1 : 1));
}

function* askedFor({ wildcard, names }: Subscription, layers: Layers | undefined): Generator<Resource> {
  for (const name of wildcard ? new Set(namesOf(layers)) : names) {
    const resource = findResource(layers, name);
    if (resource !== undefined) yield resource;
  }
}
