/**
 * Server-side apply: merges a configuration and remembers, per manager, which fields it set, so that
 * a field that a manager leaves out the next time is taken away. Only appliers are recorded as owners.
 */

import type { Target } from "../context.ts";
import {
  cloneJson,
  equalJson,
  fieldOf,
  isObject,
  type JsonObject,
  listAt,
  setField,
  textAt,
} from "../json.ts";
import { type ApiObject, timestamp } from "../object.ts";
import { groupVersion } from "../resources/resource.ts";
import { StatusError } from "../status.ts";
import {
  childPlace,
  differingLeaves,
  type FieldSet,
  fieldsOf,
  intersection,
  itemKey,
  itemPlace,
  listShape,
  minus,
  type Place,
  removeFields,
} from "./field-set.ts";

export interface Applier {
  readonly manager: string;
  readonly force: boolean;
  /** Epoch milliseconds. */
  readonly now: number;
}

/**
 * `current` (undefined to create) with `configuration` applied by `applier`. Changes `current`.
 *
 * @throws 409 where another applier owns a field that would change, unless forced
 */
export function serverSideApply(
  current: ApiObject | undefined,
  configuration: JsonObject,
  target: Target,
  applier: Applier,
): JsonObject {
  const place: Place = { name: "", schema: target.version.schema, custom: target.resource.custom };
  const owned = ownedFields(configuration, place);
  const entries = listAt(current, "metadata", "managedFields").filter(isObject);
  const mine = entries.find((entry) => isMine(entry, applier, target.subresource));
  const others = entries.filter((entry) => entry !== mine);
  if (current !== undefined && !applier.force) refuseConflicts(current, configuration, owned, others);
  const merged = mergeObject(current ?? {}, withoutNulls(configuration), place);
  if (current !== undefined && mine !== undefined) {
    let left = minus(fieldsV1(mine), owned);
    for (const other of others) left = minus(left, fieldsV1(other));
    removeFields(merged, left, place);
  }
  const metadata = isObject(merged.metadata) ? { ...merged.metadata } : {};
  const same = mine !== undefined && equalJson(fieldsV1(mine), owned);
  const entry = same ? mine : newEntry(target, applier, owned);
  return { ...merged, metadata: { ...metadata, managedFields: [...others, entry] } };
}

function newEntry(
  { resource, version, subresource }: Target,
  { manager, now }: Applier,
  owned: FieldSet,
): JsonObject {
  return {
    manager,
    operation: "Apply",
    apiVersion: groupVersion(resource.group, version.name),
    time: timestamp(now),
    fieldsType: "FieldsV1",
    fieldsV1: owned,
    ...(subresource === undefined ? {} : { subresource }),
  };
}

function isMine(entry: JsonObject, { manager }: Applier, subresource: string | undefined): boolean {
  return entry.manager === manager && entry.operation === "Apply" && entry.subresource === subresource;
}

function fieldsV1(entry: JsonObject): FieldSet {
  return isObject(entry.fieldsV1) ? entry.fieldsV1 : {};
}

/** The fields of a configuration that can be owned: not what names the object. */
function ownedFields(configuration: JsonObject, place: Place): FieldSet {
  const { apiVersion: _v, kind: _k, metadata, ...rest } = configuration;
  const fields = fieldsOf(rest, place);
  if (!isObject(metadata)) return fields;
  const {
    name: _n,
    namespace: _s,
    managedFields: _m,
    creationTimestamp: _c,
    uid: _u,
    resourceVersion: _r,
    ...described
  } = metadata;
  const inner = fieldsOf(described, childPlace(place, "metadata"));
  return Object.keys(inner).length === 0 ? fields : { ...fields, "f:metadata": inner };
}

function refuseConflicts(
  current: ApiObject,
  configuration: JsonObject,
  owned: FieldSet,
  others: readonly JsonObject[],
): void {
  for (const other of others) {
    const foreign = fieldsV1(other);
    const paths = differingLeaves(intersection(owned, foreign), configuration, current);
    if (paths.length === 0) continue;
    const manager = textAt(other, "manager") ?? "";
    const count = `${paths.length} conflict${paths.length === 1 ? "" : "s"}`;
    const causes = paths.map((field) => ({
      reason: "FieldManagerConflict",
      message: `conflict with ${JSON.stringify(manager)}`,
      field,
    }));
    throw new StatusError(
      409,
      "Conflict",
      `Apply failed with ${count}: conflict${paths.length === 1 ? "" : "s"} with ${JSON.stringify(manager)}: ${paths.length === 1 ? paths[0] : `\n- ${paths.join("\n- ")}`}`,
      { causes },
    );
  }
}

function withoutNulls(value: JsonObject): JsonObject {
  const copy = cloneJson(value);
  for (const [name, field] of Object.entries(copy)) {
    if (field === null) delete copy[name];
    else if (isObject(field)) setField(copy, name, withoutNulls(field));
  }
  return copy;
}

function mergeObject(target: JsonObject, configuration: JsonObject, place: Place): JsonObject {
  const merged: JsonObject = { ...target };
  for (const [name, value] of Object.entries(configuration)) {
    const before = fieldOf(merged, name);
    setField(merged, name, mergeValue(before, value, childPlace(place, name), place.name));
  }
  return merged;
}

function mergeValue(before: unknown, value: unknown, place: Place, parent: string): unknown {
  if (isObject(value)) return mergeObject(isObject(before) ? before : {}, value, place);
  if (!Array.isArray(value) || !Array.isArray(before)) return value;
  const shape = listShape(parent, place);
  if (shape === "atomic") return value;
  const merged: unknown[] = [...before];
  for (const item of value) {
    const same = (known: unknown) =>
      shape === "set"
        ? equalJson(known, item)
        : equalJson(itemKey(known, shape.keys), itemKey(item, shape.keys));
    const index = merged.findIndex(same);
    if (index < 0) merged.push(item);
    else
      merged[index] = isObject(item) ? mergeValue(merged[index], item, itemPlace(place), place.name) : item;
  }
  return merged;
}
