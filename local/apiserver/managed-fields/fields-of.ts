import { fieldOf, isObject, type JsonObject } from "../json.ts";
import { emptySet, type FieldSet, insert } from "./field-set.ts";
import type { ListShape, MapShape, Shape } from "./shape.ts";
import { asList, asMap, itemStep, narrowed } from "./walk.ts";

/** Every field that an object sets. */
export function fieldsOf(object: unknown, shape: Shape): FieldSet {
  const set = emptySet();
  collect(object, shape, [], set);
  return set;
}

function collect(value: unknown, shape: Shape, path: string[], set: FieldSet): void {
  const kind = narrowed(shape, value);
  if (kind.map !== undefined) {
    if (kind.map.atomic) insert(set, path);
    else collectFields(asMap(value) ?? {}, kind.map, path, set);
  } else if (kind.scalar || kind.list === undefined || kind.list.atomic) insert(set, path);
  else collectItems(asList(value) ?? [], kind.list, path, set);
}

function collectFields(object: JsonObject, shape: MapShape, path: string[], set: FieldSet): void {
  for (const name of Object.keys(object)) {
    const value = fieldOf(object, name);
    if (value === undefined) continue;
    const named = shape.field(name);
    const field = named ?? shape.element;
    if (field === undefined) continue;
    path.push(`f:${name}`);
    collect(value, field, path, set);
    const bare = value === null || (isObject(value) && Object.keys(value).length === 0);
    if (bare || named === undefined) insert(set, path);
    path.pop();
  }
}

function collectItems(items: readonly unknown[], list: ListShape, path: string[], set: FieldSet): void {
  const steps = items.map((item) => itemStep(item, list));
  for (const [index, item] of items.entries()) {
    const step = steps[index];
    if (step === undefined) continue;
    path.push(step);
    // Items that share one step are owned as a whole.
    if (steps.indexOf(step) === steps.lastIndexOf(step)) collect(item, list.element, path, set);
    insert(set, path);
    path.pop();
  }
}
