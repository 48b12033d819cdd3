/** What comparing, merging and pruning share: which kind of a shape a value is, and what tells list items apart. */
import { fieldOf, isObject, type JsonObject } from "../json.ts";
import type { ListShape, Shape } from "./shape.ts";

/** A shape with those of its kinds that a value can be: all of them where the value is absent or null. */
export function narrowed(shape: Shape, value: unknown): Shape {
  if (value === undefined || value === null) return shape;
  if (Array.isArray(value)) return shape.list === undefined ? shape : onlyList(shape);
  if (isObject(value)) return shape.map === undefined ? shape : onlyMap(shape);
  return shape.scalar && (shape.list !== undefined || shape.map !== undefined) ? onlyScalar : shape;
}

const onlyScalar: Shape = { scalar: true, list: undefined, map: undefined };

function onlyList(shape: Shape): Shape {
  return !shape.scalar && shape.map === undefined
    ? shape
    : { scalar: false, list: shape.list, map: undefined };
}

function onlyMap(shape: Shape): Shape {
  return !shape.scalar && shape.list === undefined
    ? shape
    : { scalar: false, list: undefined, map: shape.map };
}

/** Whether two narrowed shapes leave the same kinds. */
export function sameKinds(left: Shape, right: Shape): boolean {
  return left.scalar === right.scalar && left.list === right.list && left.map === right.map;
}

export function asMap(value: unknown): JsonObject | undefined {
  return isObject(value) ? value : undefined;
}

export function asList(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

/** Absent, null or without items: such values are owned as leaves, so that the difference is kept. */
export function isBare(value: JsonObject | readonly unknown[] | undefined): boolean {
  return value === undefined || (Array.isArray(value) ? value.length === 0 : Object.keys(value).length === 0);
}

/**
 * The step of a path that leads to a list's item: `k:{…}` or `v:…`. undefined for an item that has none of the keys,
 * and for one that is no item of such a list.
 */
export function itemStep(item: unknown, { keys, keyDefaults }: ListShape): string | undefined {
  if (keys.length === 0) {
    return item === null || item === undefined || typeof item === "object"
      ? undefined
      : `v:${JSON.stringify(item)}`;
  }
  if (!isObject(item)) return undefined;
  const found: JsonObject = {};
  let any = false;
  for (const key of keys.toSorted()) {
    const value = fieldOf(item, key) ?? keyDefaults.get(key);
    if (value === undefined) continue;
    found[key] = value;
    any = true;
  }
  return any ? `k:${JSON.stringify(found)}` : undefined;
}
