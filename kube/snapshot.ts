import { apiVersion, type Kind, type KubeObject } from "../api/resource.ts";
import type { Snapshot } from "./contract.ts";
import { emptyMap, getKey, mapOf, type SortedMap, valuesOf, withKey, withoutKey } from "./sorted-map.ts";

/** All objects of one kind at one moment. Immutable: a change makes another that shares nearly everything. */
export interface KindObjects {
  /** By namespace, then name. */
  readonly objects: SortedMap<KubeObject>;
  /** By uid of the controller owner, then namespace and name. */
  readonly owned: SortedMap<KubeObject>;
}

export const noObjects: KindObjects = { objects: emptyMap(), owned: emptyMap() };

/** Below any character of a name, so that namespaces sort as wholes. */
const separator = "\0";

/** Names an object within its kind. */
export function objectKey(namespace: string | undefined, name: string): string {
  return `${namespace ?? ""}${separator}${name}`;
}

/** Names a kind as objects spell it, whatever descriptor it comes from. */
export function kindKey(kind: Kind): string {
  return `${apiVersion(kind)}/${kind.kind}`;
}

export function objectsOf(objects: Iterable<KubeObject>): KindObjects {
  const entries = Array.from(objects, (object) => [keyOf(object), object] as const);
  const owned = entries.flatMap(([key, object]) => {
    const owner = controllerOf(object);
    return owner === undefined ? [] : [[owner + separator + key, object] as const];
  });
  return { objects: mapOf(entries), owned: mapOf(owned) };
}

/** With `object` in place of the one of its name. */
export function withObject(kind: KindObjects, object: KubeObject): KindObjects {
  const key = keyOf(object);
  const owner = controllerOf(object);
  const owned = withoutOwned(kind, key, owner);
  return {
    objects: withKey(kind.objects, key, object),
    owned: owner === undefined ? owned : withKey(owned, owner + separator + key, object),
  };
}

/** Without the object of that name. */
export function withoutObject(kind: KindObjects, object: KubeObject): KindObjects {
  const key = keyOf(object);
  return { objects: withoutKey(kind.objects, key), owned: withoutOwned(kind, key, undefined) };
}

/** The owner index without the entry of the object now stored under `key`, unless `keep` owns it still. */
function withoutOwned(kind: KindObjects, key: string, keep: string | undefined): SortedMap<KubeObject> {
  const before = getKey(kind.objects, key);
  const owner = before && controllerOf(before);
  return owner === undefined || owner === keep ? kind.owned : withoutKey(kind.owned, owner + separator + key);
}

/**
 * A view of `kinds`, which is not changed any more.
 *
 * Lists are built at the first call and kept while their kind does not change, so an equal list is the same array.
 */
export function createSnapshot(kinds: ReadonlyMap<string, KindObjects>): Snapshot {
  const objectsOfKind = (kind: Kind) => kinds.get(kindKey(kind)) ?? noObjects;
  return {
    // The informer of a kind stores nothing but objects of its type: these casts are that promise.
    get: <T extends KubeObject>(kind: Kind<T>, namespace: string | undefined, name: string) =>
      getKey(objectsOfKind(kind).objects, objectKey(kind.namespaced ? namespace : undefined, name)) as
        | T
        | undefined,
    list: <T extends KubeObject>(kind: Kind<T>, namespace?: string) =>
      listed(
        objectsOfKind(kind).objects,
        namespace === undefined || !kind.namespaced ? "" : namespace + separator,
      ) as readonly T[],
    ownedBy: <T extends KubeObject>(kind: Kind<T>, uid: string) =>
      listed(objectsOfKind(kind).owned, uid + separator) as readonly T[],
  };
}

/** A snapshot of given objects: for pure functions that have no API server, e.g. over manifest files. */
export function snapshotOf(objects: Iterable<KubeObject>): Snapshot {
  const byKind = Map.groupBy(objects, ({ apiVersion, kind }) => `${apiVersion}/${kind}`);
  return createSnapshot(new Map(Array.from(byKind, ([key, ofKind]) => [key, objectsOf(ofKind)])));
}

const lists = new WeakMap<SortedMap<KubeObject>, Map<string, readonly KubeObject[]>>();

function listed(map: SortedMap<KubeObject>, prefix: string): readonly KubeObject[] {
  const known = lists.get(map) ?? new Map<string, readonly KubeObject[]>();
  lists.set(map, known);
  const list = known.get(prefix) ?? valuesOf(map, prefix);
  known.set(prefix, list);
  return list;
}

function keyOf({ metadata }: KubeObject): string {
  return objectKey(metadata.namespace, metadata.name);
}

/** The uid of the owner that controls `object`. */
export function controllerOf({ metadata }: KubeObject): string | undefined {
  return metadata.ownerReferences?.find(({ controller }) => controller)?.uid;
}
