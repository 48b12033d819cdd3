/**
 * What an API server does to an object before it validates: nulls that are not allowed count as absent, defaults are
 * filled in, unknown fields are dropped. Here the dropped ones are told.
 */
import { below } from "./pointer.ts";
import type { Schema } from "./schema.ts";

/** A field that the schema does not know. */
export interface UnknownField {
  readonly pointer: string;
  readonly name: string;
  readonly allowed: readonly string[];
}

/** The copy that is validated, and what was left out of it. Descends no further than the schema does, so any JSON is safe. */
export function prepare(schema: Schema, value: unknown, pointer: string, unknown: UnknownField[]): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items
      ? value.map((item: unknown, index) => prepare(items, item, below(pointer, index), unknown))
      : value;
  }
  if (!isObject(value)) return value;
  if (schema.additionalProperties) return prepareMap(schema.additionalProperties, value, pointer, unknown);
  const { properties } = schema;
  if (!properties) return value;
  return prepareObject(schema, properties, value, pointer, unknown);
}

/** Without a prototype, so that no key of the user's is mistaken for one of ours. */
function prepareMap(schema: Schema, value: Fields, pointer: string, unknown: UnknownField[]): Fields {
  const made: Fields = Object.create(null);
  for (const [key, item] of Object.entries(value)) {
    if (item !== null || schema.nullable) made[key] = prepare(schema, item, below(pointer, key), unknown);
  }
  return made;
}

function prepareObject(
  schema: Schema,
  properties: Readonly<Record<string, Schema>>,
  value: Fields,
  pointer: string,
  unknown: UnknownField[],
): Fields {
  const made: Fields = {};
  for (const name of Object.keys(value)) {
    if (Object.hasOwn(properties, name)) continue;
    if (schema["x-kubernetes-preserve-unknown-fields"])
      Object.defineProperty(made, name, {
        value: value[name],
        enumerable: true,
        configurable: true,
        writable: true,
      });
    else unknown.push({ pointer: below(pointer, name), name, allowed: Object.keys(properties) });
  }
  for (const [name, property] of Object.entries(properties)) {
    const found = Object.hasOwn(value, name) ? value[name] : undefined;
    const present = found !== undefined && (found !== null || property.nullable === true);
    const filled = present ? found : property.default;
    if (filled !== undefined) made[name] = prepare(property, filled, below(pointer, name), unknown);
  }
  return made;
}

export type Fields = Record<string, unknown>;

/** A JSON object: not null, not an array. */
export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
