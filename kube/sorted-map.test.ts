import fc from "fast-check";
import { expect, test } from "vitest";
import {
  changedBetween,
  emptyMap,
  getKey,
  mapOf,
  type SortedMap,
  valuesOf,
  withKey,
  withoutKey,
} from "./sorted-map.ts";

const key = fc.string({ minLength: 1, maxLength: 3, unit: fc.constantFrom("a", "b", "c", "\0") });
const step = fc.record({ key, remove: fc.boolean(), value: fc.nat() });

test("holds what a Map holds, in key order, and old versions stay as they were", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const reference = new Map<string, number>();
      let map: SortedMap<number> = emptyMap();
      for (const { key, remove, value } of steps) {
        const before = map;
        const valuesBefore = valuesOf(before);
        map = remove ? withoutKey(map, key) : withKey(map, key, value);
        if (remove) reference.delete(key);
        else reference.set(key, value);
        expect(valuesOf(before)).toEqual(valuesBefore);
      }
      const sorted = [...reference].sort(([a], [b]) => (a < b ? -1 : 1));
      expect(valuesOf(map)).toEqual(sorted.map(([, value]) => value));
      expect(map.size).toBe(reference.size);
      for (const [key, value] of reference) expect(getKey(map, key)).toBe(value);
      expect(valuesOf(map, "ab")).toEqual(
        sorted.filter(([key]) => key.startsWith("ab")).map(([, value]) => value),
      );
      expect(valuesOf(mapOf(reference))).toEqual(valuesOf(map));
    }),
    { numRuns: 100 },
  );
});

test("tells the keys that differ between two versions, and between two that have nothing in common", () => {
  const wide = fc.record({ key: fc.integer({ min: 0, max: 400 }), remove: fc.boolean(), value: fc.nat(2) });
  const apply = (
    from: SortedMap<number>,
    steps: readonly { key: number; remove: boolean; value: number }[],
  ) =>
    steps.reduce(
      (map, { key, remove, value }) => (remove ? withoutKey(map, `k${key}`) : withKey(map, `k${key}`, value)),
      from,
    );
  const steps = (maxLength: number) => fc.array(wide, { maxLength });
  fc.assert(
    fc.property(steps(300), steps(300), steps(20), (first, other, more) => {
      const base = apply(mapOf(Array.from({ length: 200 }, (_, index) => [`k${index}`, 0] as const)), first);
      for (const after of [apply(base, more), apply(emptyMap(), other), emptyMap<number>()]) {
        const expected = Array.from({ length: 401 }, (_, key) => `k${key}`).filter(
          (key) => getKey(base, key) !== getKey(after, key),
        );
        expect(changedBetween(base, after).sort()).toEqual(expected.sort());
        expect(changedBetween(after, base).sort()).toEqual(expected.sort());
      }
    }),
    { numRuns: 100 },
  );
});

test("grows beyond a chunk in any order", () => {
  let map: SortedMap<number> = emptyMap();
  const keys = Array.from({ length: 2_000 }, (_, index) => (index * 7919) % 2_000);
  for (const number of keys) map = withKey(map, String(number).padStart(4, "0"), number);
  expect(valuesOf(map)).toEqual([...keys].sort((a, b) => a - b));
  for (const number of keys.slice(0, 1_500)) map = withoutKey(map, String(number).padStart(4, "0"));
  expect(valuesOf(map)).toEqual(keys.slice(1_500).sort((a, b) => a - b));
});

test("a change among 5,000 keys copies at most the chunk that it touches", () => {
  const before = mapOf(Array.from({ length: 5_000 }, (_, index) => [`key-${index}`, index] as const));
  const kept = new Set(before.chunks);
  const changed = withKey(before, "key-2500", -1);
  expect(changed.chunks.filter((chunk) => !kept.has(chunk))).toHaveLength(1);
  const grown = withKey(before, "key-2500-more", 0);
  expect(grown.chunks.filter((chunk) => !kept.has(chunk)).length).toBeLessThanOrEqual(2);
  const shrunk = withoutKey(before, "key-2500");
  expect(shrunk.chunks.filter((chunk) => !kept.has(chunk)).length).toBeLessThanOrEqual(1);
});
