import { isObject, type JsonObject, setField } from "../json.ts";
import { type FieldSet, isEmptySet } from "./field-set.ts";
import type { Shape } from "./shape.ts";
import { itemStep, narrowed } from "./walk.ts";

/** `value` without the fields and items of `set`; null where all of it went. Does not change `value`. */
export function removeFields(value: unknown, set: FieldSet, shape: Shape): unknown {
  const kind = narrowed(shape, value);
  if (kind.map !== undefined) return isObject(value) ? removeFromMap(value, set, kind) : null;
  if (kind.scalar) return value;
  return Array.isArray(value) ? removeFromList(value, set, kind) : null;
}

function removeFromMap(object: JsonObject, set: FieldSet, { map }: Shape): JsonObject | null {
  if (map === undefined || map.atomic) return null;
  const kept: JsonObject = {};
  let descended = false;
  for (const name of Object.keys(object)) {
    const step = `f:${name}`;
    if (set.members.has(step)) continue;
    const inner = set.children.get(step);
    let value = object[name];
    if (inner !== undefined && !isEmptySet(inner)) {
      descended = true;
      const field = map.field(name) ?? map.element;
      if (field !== undefined) value = removeFields(value, inner, field) ?? emptied(value);
    }
    setField(kept, name, value);
  }
  return descended || Object.keys(kept).length > 0 ? kept : null;
}

function removeFromList(items: readonly unknown[], set: FieldSet, { list }: Shape): unknown[] | null {
  if (list === undefined || list.atomic || items.length === 0) return null;
  const kept: unknown[] = [];
  let descended = false;
  for (const item of items) {
    const step = itemStep(item, list) ?? "";
    if (set.members.has(step)) continue;
    const inner = set.children.get(step);
    if (inner !== undefined && !isEmptySet(inner)) {
      descended = true;
      kept.push(removeFields(item, inner, list.element) ?? emptied(item));
    } else kept.push(item);
  }
  return descended || kept.length > 0 ? kept : null;
}

/** A map or list from which everything was removed stays, empty. */
function emptied(value: unknown): unknown {
  if (Array.isArray(value)) return [];
  return isObject(value) ? {} : null;
}
