import {
  changedBetween,
  emptyMap,
  getKey,
  mapOf,
  type SortedMap,
  valuesOf,
  withKey,
  withoutKey,
} from "../../kube/sorted-map.ts";

/**
 * An immutable map in key order of which a changed copy shares nearly everything with the one before, so that what
 * changed between two is found in proportion to the change.
 */
export class SharedMap<Value> implements ReadonlyMap<string, Value> {
  readonly #sorted: SortedMap<Value>;

  private constructor(sorted: SortedMap<Value>) {
    this.#sorted = sorted;
  }

  static of<Value>(entries: Iterable<readonly [string, Value]> = []): SharedMap<Value> {
    const sorted = mapOf(entries);
    return new SharedMap(sorted.size === 0 ? emptyMap<Value>() : sorted);
  }

  get size(): number {
    return this.#sorted.size;
  }

  get(key: string): Value | undefined {
    return getKey(this.#sorted, key);
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** With these values in place of those of the same keys; undefined removes. The same map where nothing differs. */
  with(changes: Iterable<readonly [string, Value | undefined]>): SharedMap<Value> {
    let sorted = this.#sorted;
    for (const [key, value] of changes) {
      if (value === getKey(sorted, key)) continue;
      sorted = value === undefined ? withoutKey(sorted, key) : withKey(sorted, key, value);
    }
    return sorted === this.#sorted ? this : new SharedMap(sorted);
  }

  /** Keys that one of the two has and the other has not, or has with another value. */
  changedSince(before: SharedMap<Value>): string[] {
    return before.#sorted === this.#sorted ? [] : changedBetween(before.#sorted, this.#sorted);
  }

  forEach(callback: (value: Value, key: string, map: ReadonlyMap<string, Value>) => void): void {
    for (const [key, value] of this) callback(value, key, this);
  }

  *entries(): Generator<[string, Value], undefined> {
    for (const { keys, values } of this.#sorted.chunks) {
      for (const [index, key] of keys.entries()) {
        const value = values[index];
        if (value !== undefined) yield [key, value];
      }
    }
    return undefined;
  }

  *keys(): Generator<string, undefined> {
    for (const { keys } of this.#sorted.chunks) yield* keys;
    return undefined;
  }

  *values(): Generator<Value, undefined> {
    yield* valuesOf(this.#sorted);
    return undefined;
  }

  [Symbol.iterator](): Generator<[string, Value], undefined> {
    return this.entries();
  }
}

/** {@link SharedMap.changedSince} for any two maps: in proportion to the change where both are shared. */
export function changedKeys<Value>(
  before: ReadonlyMap<string, Value> | undefined,
  after: ReadonlyMap<string, Value>,
): string[] {
  if (before === after) return [];
  if (before instanceof SharedMap && after instanceof SharedMap) return after.changedSince(before);
  const changed = [...after.keys()].filter((key) => before?.get(key) !== after.get(key));
  for (const key of before?.keys() ?? []) if (!after.has(key)) changed.push(key);
  return changed;
}
