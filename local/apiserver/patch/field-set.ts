/**
 * Sets of fields as server-side apply keeps them in `managedFields` (FieldsV1): a tree whose keys are
 * `f:<name>` for fields, `k:{…}` for items of keyed lists and `v:<json>` for items of sets.
 *
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */
import { equalJson, fieldOf, isObject, type JsonObject, setField } from "../json.ts";
import { fieldSchema, type Schema } from "../schema/schema.ts";
import { listMerge } from "./merge-keys.ts";

export type FieldSet = JsonObject;

/** How a list is owned: whole, or item by item. */
export type ListShape = "atomic" | "set" | { readonly keys: readonly string[] };

/** Where a value stands: the schema of a custom resource there, or the field names of a built-in kind. */
export interface Place {
  readonly name: string;
  readonly schema: Schema | undefined;
  /** True below a custom resource: without a schema its lists are atomic. */
  readonly custom: boolean;
}

export function childPlace(place: Place, name: string): Place {
  const schema = place.schema === undefined ? undefined : fieldSchema(place.schema, name);
  return { name, schema, custom: place.custom };
}

/** The shape of the list at `place`, below the field `parent`. */
export function listShape(parent: string, place: Place): ListShape {
  if (place.custom && parent !== "metadata") {
    const type = place.schema?.["x-kubernetes-list-type"];
    if (type === "set") return "set";
    if (type === "map") return { keys: place.schema?.["x-kubernetes-list-map-keys"] ?? [] };
    return "atomic";
  }
  const how = listMerge(parent, place.name);
  if (how === undefined) return "atomic";
  if (how === "set") return "set";
  return { keys: place.name === "ports" ? [how.key, "protocol"] : [how.key] };
}

/** The place of a keyed list's items. */
export function itemPlace(place: Place): Place {
  return { name: place.name, schema: place.schema?.items, custom: place.custom };
}

/** What identifies an item among its list. A port's protocol is TCP where it is not given. */
export function itemKey(item: unknown, keys: readonly string[]): JsonObject {
  return Object.fromEntries(
    keys.map((key) => [key, fieldOf(item, key) ?? (key === "protocol" ? "TCP" : null)]),
  );
}

/** The fields that `value` sets. Leaves are `{}`. */
export function fieldsOf(value: JsonObject, place: Place): FieldSet {
  const set: FieldSet = {};
  for (const [name, field] of Object.entries(value)) {
    setField(set, `f:${name}`, fieldsAt(field, childPlace(place, name), place.name));
  }
  return set;
}

function fieldsAt(value: unknown, place: Place, parent: string): FieldSet {
  if (isObject(value)) return fieldsOf(value, place);
  if (!Array.isArray(value)) return {};
  const shape = listShape(parent, place);
  if (shape === "atomic") return {};
  const set: FieldSet = {};
  for (const item of value) {
    if (shape === "set") setField(set, `v:${JSON.stringify(item)}`, {});
    else {
      const inner = isObject(item) ? fieldsOf(item, itemPlace(place)) : {};
      setField(set, `k:${JSON.stringify(itemKey(item, shape.keys))}`, { ".": {}, ...inner });
    }
  }
  return set;
}

/** The fields of `left` that are not in `right`, at any depth. */
export function minus(left: FieldSet, right: FieldSet): FieldSet {
  const rest: FieldSet = {};
  for (const [name, inner] of Object.entries(left)) {
    const other = fieldOf(right, name);
    if (other === undefined) setField(rest, name, inner);
    else if (isObject(inner) && isObject(other) && Object.keys(inner).length > 0) {
      const difference = minus(inner, other);
      if (Object.keys(difference).length > 0) setField(rest, name, difference);
    }
  }
  return rest;
}

/** The fields that both sets hold. An empty list and the items of a list are not the same field. */
export function intersection(left: FieldSet, right: FieldSet): FieldSet {
  const both: FieldSet = {};
  for (const [name, inner] of Object.entries(left)) {
    const other = fieldOf(right, name);
    if (!isObject(inner) || !isObject(other)) continue;
    const [leaf, otherLeaf] = [inner, other].map((set) => Object.keys(set).length === 0);
    if (leaf && otherLeaf) setField(both, name, {});
    if (leaf || otherLeaf) continue;
    const common = intersection(inner, other);
    if (Object.keys(common).length > 0) setField(both, name, common);
  }
  return both;
}

/** Removes, in place, the fields of `set` from `value`; empty maps that only held them go too. */
export function removeFields(value: JsonObject, set: FieldSet, place: Place): void {
  for (const [name, inner] of Object.entries(set)) {
    if (!name.startsWith("f:") || !isObject(inner)) continue;
    const field = name.slice(2);
    const current = fieldOf(value, field);
    if (Object.keys(inner).length === 0) delete value[field];
    else if (isObject(current)) {
      removeFields(current, inner, childPlace(place, field));
      if (Object.keys(current).length === 0) delete value[field];
    } else if (Array.isArray(current)) {
      const kept = removeItems(current, inner, childPlace(place, field), place.name);
      if (kept.length === 0) delete value[field];
      else setField(value, field, kept);
    }
  }
}

function removeItems(list: readonly unknown[], set: FieldSet, place: Place, parent: string): unknown[] {
  const shape = listShape(parent, place);
  if (shape === "atomic") return [...list];
  return list.flatMap((item) => {
    if (shape === "set") return Object.hasOwn(set, `v:${JSON.stringify(item)}`) ? [] : [item];
    const inner = fieldOf(set, `k:${JSON.stringify(itemKey(item, shape.keys))}`);
    if (!isObject(inner)) return [item];
    if (Object.hasOwn(inner, ".")) return [];
    if (isObject(item)) removeFields(item, inner, itemPlace(place));
    return [item];
  });
}

/** Every leaf of `set` as a dotted path with its value in `left` and in `right`, where the two differ. */
export function differingLeaves(set: FieldSet, left: unknown, right: unknown, path = ""): string[] {
  return Object.entries(set).flatMap(([name, inner]) => {
    if (!name.startsWith("f:")) return [];
    const field = name.slice(2);
    const [a, b] = [fieldOf(left, field), fieldOf(right, field)];
    if (a === undefined || equalJson(a, b)) return [];
    const at = `${path}.${field}`;
    if (!isObject(inner) || Object.keys(inner).length === 0 || Array.isArray(a)) return [at];
    return differingLeaves(inner, a, b, at);
  });
}
