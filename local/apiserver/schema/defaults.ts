import { cloneJson, isObject, type JsonObject } from "../json.ts";
import { fieldSchema, type Schema } from "./schema.ts";

/** Sets, in place, the defaults of a structural schema; a null where null is not allowed counts as missing. */
export function setSchemaDefaults(value: unknown, schema: Schema): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return;
    value.forEach((item, index) => {
      if (item === null && items.nullable !== true && items.default !== undefined)
        value[index] = cloneJson(items.default);
      setSchemaDefaults(value[index], items);
    });
  } else if (isObject(value)) setFieldDefaults(value, schema);
}

function setFieldDefaults(object: JsonObject, schema: Schema): void {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    if (field.default === undefined) continue;
    const missing = !Object.hasOwn(object, name) || (object[name] === null && field.nullable !== true);
    if (missing) object[name] = cloneJson(field.default);
  }
  for (const name of Object.keys(object)) {
    const field = fieldSchema(schema, name);
    if (field === undefined) continue;
    if (object[name] === null && field.nullable !== true && !mayBeAnything(field)) delete object[name];
    else setSchemaDefaults(object[name], field);
  }
}

/** A schema without a type, as under x-kubernetes-preserve-unknown-fields: null is a value there. */
function mayBeAnything({ type }: Schema): boolean {
  return type === undefined;
}
