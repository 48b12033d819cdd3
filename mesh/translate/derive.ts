import { isDeepStrictEqual } from "node:util";
import type { Kind, KubeObject } from "../../api/resource.ts";
import type { Snapshot } from "../../kube/contract.ts";
import { SharedMap } from "../model/shared-map.ts";
import { type Changes, changedObjects } from "./changes.ts";

/** What the objects of one kind were translated to. */
export interface Derived<Result> {
  /** Follows the snapshot: all of it, or what `changes` names. */
  update(snapshot: Snapshot, changes: Changes | undefined): SharedMap<Result>;
}

/**
 * Translates each object of a kind once. The result of its earlier version is given again where it is deeply equal (a
 * change of its status alone means nothing here), and the same map where no result differs.
 *
 * @param translate answers undefined for an object that counts for nothing; it is given the result of the earlier version
 */
export function createDerived<Source extends KubeObject, Result>(
  kind: Kind<Source>,
  translate: (source: Source, before: Result | undefined) => Result | undefined,
): Derived<Result> {
  let results = SharedMap.of<Result>();

  function again(key: string, source: Source): Result | undefined {
    const before = results.get(key);
    const after = translate(source, before);
    return before !== undefined && isDeepStrictEqual(before, after) ? before : after;
  }

  return {
    update(snapshot, changes) {
      const found = new Map<string, Result | undefined>();
      for (const [key, source] of changedObjects(snapshot, kind, changes)) {
        found.set(key, source === undefined ? undefined : again(key, source));
      }
      if (changes === undefined) {
        for (const key of results.keys()) if (!found.has(key)) found.set(key, undefined);
      }
      results = results.with(found);
      return results;
    },
  };
}

/**
 * The values of a map, oldest first: Istio's order of conflicting objects; those of one second stand in order of
 * namespace and name. The same list while the map is the same.
 */
export function createOldestFirst<Result>(createdAt: (result: Result) => string) {
  let before: SharedMap<Result> | undefined;
  let order: readonly string[] = [];
  let list: readonly Result[] = [];
  return (results: SharedMap<Result>): readonly Result[] => {
    if (results === before) return list;
    const sameOrder =
      before !== undefined &&
      results.changedSince(before).every((key) => {
        const [old, now] = [before?.get(key), results.get(key)];
        return old !== undefined && now !== undefined && createdAt(old) === createdAt(now);
      });
    if (!sameOrder) {
      const times = new Map(Array.from(results, ([key, result]) => [key, createdAt(result)]));
      const time = (key: string) => times.get(key) ?? "";
      // The keys come sorted, and the sort is stable.
      order = [...times.keys()].sort((a, b) => (time(a) < time(b) ? -1 : time(a) > time(b) ? 1 : 0));
    }
    before = results;
    list = order.flatMap((key) => results.get(key) ?? []);
    return list;
  };
}
