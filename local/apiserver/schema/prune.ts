import { isObject, type JsonObject } from "../json.ts";
import { fieldSchema, keepsUnknown, type Schema } from "./schema.ts";

const alwaysKept = new Set(["apiVersion", "kind", "metadata"]);

/**
 * Removes, in place, the fields that a structural schema does not name.
 *
 * @param report gets each removed field's path, e.g. `spec.containers[0].imag`
 */
export function prune(object: JsonObject, schema: Schema, report: (path: string) => void): void {
  pruneObject(object, schema, "", true, report);
}

function pruneObject(
  object: JsonObject,
  schema: Schema,
  path: string,
  embedded: boolean,
  report: (path: string) => void,
): void {
  const keep = keepsUnknown(schema);
  for (const name of Object.keys(object)) {
    if (embedded && alwaysKept.has(name)) continue;
    const at = path === "" ? name : `${path}.${name}`;
    const child = fieldSchema(schema, name);
    if (child !== undefined) pruneValue(object[name], child, at, report);
    else if (!keep) {
      delete object[name];
      report(at);
    }
  }
}

function pruneValue(value: unknown, schema: Schema, path: string, report: (path: string) => void): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items !== undefined)
      value.forEach((item, index) => {
        pruneValue(item, items, `${path}[${index}]`, report);
      });
  } else if (isObject(value)) {
    // A schema without fields of its own, or of another type, is the validator's business.
    if (schema.type !== undefined && schema.type !== "object") return;
    pruneObject(value, schema, path, schema["x-kubernetes-embedded-resource"] === true, report);
  }
}
