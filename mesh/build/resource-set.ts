import { SharedMap } from "../model/shared-map.ts";
import type { Resource } from "./resource.ts";

/** Resources of one type by name. Immutable and shared: proxies with the same view hold the same object. */
export type ResourceSet = SharedMap<Resource>;

/** What must be told to who holds one set so that it holds another. */
export interface Difference {
  /** New or with another content. */
  readonly changed: readonly Resource[];
  /** Names among `changed` that were not there before. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

const nothing: Difference = { changed: [], added: [], removed: [] };
export const noResources: ResourceSet = SharedMap.of();
const differences = new WeakMap<ResourceSet, WeakMap<ResourceSet, Difference>>();

/** Makes a set; of two resources of one name the later wins. */
export function resourceSet(resources: Iterable<Resource>): ResourceSet {
  return SharedMap.of(Array.from(resources, (resource) => [resource.name, resource] as const));
}

/**
 * The difference between two sets, computed once for all streams that make the same step.
 *
 * A change that touches no resource gives the same (empty) answer as no change.
 */
export function differenceBetween(from: ResourceSet | undefined, to: ResourceSet): Difference {
  if (from === to) return nothing;
  const start = from ?? noResources;
  let known = differences.get(start);
  if (known === undefined) {
    known = new WeakMap();
    differences.set(start, known);
  }
  let difference = known.get(to);
  if (difference === undefined) {
    difference = compare(start, to);
    known.set(to, difference);
  }
  return difference;
}

function compare(from: ResourceSet, to: ResourceSet): Difference {
  const changed: Resource[] = [];
  const added: string[] = [];
  const removed: string[] = [];
  for (const name of to.changedSince(from)) {
    const [before, after] = [from.get(name), to.get(name)];
    if (after === undefined) removed.push(name);
    else if (before?.version !== after.version) {
      changed.push(after);
      if (before === undefined) added.push(name);
    }
  }
  return changed.length === 0 && removed.length === 0 ? nothing : { changed, added, removed };
}

/** Several sets with disjoint names that make up one proxy's view of a type: the shared part first, its own last. */
export type Layers = readonly ResourceSet[];

/** {@link differenceBetween} layer by layer. */
export function differenceOfLayers(from: Layers | undefined, to: Layers): Difference {
  if (from === to) return nothing;
  const parts = to.map((set, index) => differenceBetween(from?.[index], set));
  for (const set of from?.slice(to.length) ?? []) parts.push(differenceBetween(set, noResources));
  const told = parts.filter((part) => part.changed.length > 0 || part.removed.length > 0);
  const [only] = told;
  if (only === undefined) return nothing;
  if (told.length === 1) return only;
  return {
    changed: told.flatMap((part) => part.changed),
    added: told.flatMap((part) => part.added),
    removed: told.flatMap((part) => part.removed).filter((name) => findResource(to, name) === undefined),
  };
}

/** The resource of this name, if any layer has it. */
export function findResource(layers: Layers | undefined, name: string): Resource | undefined {
  for (const set of layers ?? []) {
    const resource = set.get(name);
    if (resource !== undefined) return resource;
  }
  return undefined;
}

/** All names of a view. */
export function* namesOf(layers: Layers | undefined): Generator<string> {
  for (const set of layers ?? []) yield* set.keys();
}
