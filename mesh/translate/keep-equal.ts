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
