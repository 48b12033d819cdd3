import type { Resource } from "../build/resource.ts";
import { findResource, type Layers, namesOf, type ResourceSet } from "../build/resource-set.ts";
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
  const { acknowledged = [], wildcard, names, leftover } = subscription;
  const parts = acknowledged.map((set) => sumOf(set, wildcard ? everything : names));
  const sum = parts.reduce((total, part) => total + part.versions, 0n);
  return {
    synced: holds(subscription, target),
    version: BigInt.asUintN(64, sum).toString(16).padStart(16, "0"),
    held: parts.reduce((total, part) => total + part.resources, 0),
    lacking: lacking(subscription, target).map(({ name }) => name),
    leftover: [...leftover.keys()],
  };
}

interface Sum {
  readonly resources: number;
  readonly versions: bigint;
}

/** Stands for all names of a set. */
const everything: ReadonlySet<string> = new Set();
/** Sets of resources and of names are shared among proxies, so a thousand of them are summed once. */
const sums = new WeakMap<ResourceSet, WeakMap<ReadonlySet<string>, Sum>>();

/** Versions are 64 bits of a hash: their sum depends neither on their order nor on the layers that they came by. */
function sumOf(set: ResourceSet, names: ReadonlySet<string>): Sum {
  const ofSet = sums.get(set) ?? new WeakMap<ReadonlySet<string>, Sum>();
  sums.set(set, ofSet);
  const known = ofSet.get(names);
  if (known !== undefined) return known;
  let [resources, versions] = [0, 0n];
  for (const name of names === everything ? set.keys() : names) {
    const version = set.get(name)?.version;
    if (version === undefined) continue;
    resources += 1;
    versions += BigInt(`0x${version}`);
  }
  const sum = { resources, versions };
  ofSet.set(names, sum);
  return sum;
}

/** All that the proxy asked for and should hold, by name. */
export function wantedOf(subscription: Subscription, target: Layers): readonly Wanted[] {
  const { acknowledged, wildcard, names } = subscription;
  return [...(wildcard ? namesOf(target) : names)].sort().flatMap((name) => {
    const resource = findResource(target, name);
    if (resource === undefined) return [];
    return [{ resource, held: findResource(acknowledged, name)?.version === resource.version }];
  });
}
