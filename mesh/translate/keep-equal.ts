import { isDeepStrictEqual } from "node:util";
import type { KubeObject } from "../../api/resource.ts";

/** `before` where it holds the same items in the same order as `after`, so that identity tells of change. */
export function keepEqualList<T>(before: readonly T[] | undefined, after: readonly T[]): readonly T[] {
  return before?.length === after.length && after.every((item, index) => item === before[index])
    ? before
    : after;
}

/** `before` where it maps the same keys to the same values as `after`. */
export function keepEqualMap<Key, Value>(
  before: ReadonlyMap<Key, Value> | undefined,
  after: ReadonlyMap<Key, Value>,
): ReadonlyMap<Key, Value> {
  if (before === undefined || before.size !== after.size) return after;
  for (const [key, value] of after) if (before.get(key) !== value) return after;
  return before;
}

/**
 * Translates lists of objects, each object once. The result of an object's earlier version is given again where it is
 * deeply equal (a change of its status alone means nothing here), and the same list for the same objects.
 */
export function eachOnce<Source extends KubeObject, Result>(
  translate: (source: Source) => Result,
): (objects: readonly Source[]) => readonly Result[] {
  const keyOf = ({ metadata }: Source) => `${metadata.namespace}/${metadata.name}`;
  let objects: readonly Source[] = [];
  let results: readonly Result[] = [];
  let latest = new Map<string, { readonly source: Source; readonly result: Result }>();

  function again(source: Source): Result {
    const before = latest.get(keyOf(source));
    if (before?.source === source) return before.result;
    const result = translate(source);
    return before !== undefined && isDeepStrictEqual(before.result, result) ? before.result : result;
  }

  return (next) => {
    if (next === objects) return results;
    const entries = next.map((source) => ({ source, result: again(source) }));
    latest = new Map(entries.map((entry) => [keyOf(entry.source), entry]));
    objects = next;
    results = keepEqualList(
      results,
      entries.map(({ result }) => result),
    );
    return results;
  };
}
