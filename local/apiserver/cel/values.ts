/**
 * JSON values as CEL values, by their schema.
 *
 * @see k8s.io/apiserver/pkg/cel/common/values.go
 */
import { type CelInput, celMap } from "@bufbuild/cel";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { fieldOf, isObject, type JsonObject } from "../json.ts";
import type { Schema } from "../schema/schema.ts";
import { compileExpression } from "./environment.ts";

const reserved = new Set(
  "true false null in as break const continue else for function if import let loop package namespace return var void while".split(
    " ",
  ),
);

/** A field's name as expressions spell it: CEL's own words and characters that no name has are written out. */
export function escapedName(name: string): string {
  if (reserved.has(name)) return `__${name}__`;
  return name
    .replaceAll("__", "__underscores__")
    .replaceAll(".", "__dot__")
    .replaceAll("-", "__dash__")
    .replaceAll("/", "__slash__");
}

/** A JSON value as an expression sees it. What a schema does not tell is told from the value. */
export function celValue(value: unknown, schema: Schema | undefined): CelInput {
  if (value === null || value === undefined) return null;
  if (typeof value === "boolean") return value;
  if (typeof value === "number")
    return schema?.type !== "number" && Number.isInteger(value) ? BigInt(value) : value;
  if (typeof value === "string") return textValue(value, schema?.format);
  if (Array.isArray(value)) return value.map((item: unknown) => celValue(item, schema?.items));
  return isObject(value) ? objectValue(value, schema) : null;
}

/** A JSON value without a schema, its names as they are: what Kubernetes calls a dynamic value. */
export function dynamicValue(value: unknown): CelInput {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : value;
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (Array.isArray(value)) return value.map(dynamicValue);
  if (!isObject(value)) return null;
  return celMap(new Map(Object.keys(value).map((name) => [name, dynamicValue(fieldOf(value, name))])));
}

const readDuration = compileLater("duration(text)");

/** Texts of some formats are values of their own; a text that is not of its format stays one. */
function textValue(text: string, format: string | undefined): CelInput {
  switch (format) {
    case "byte":
      return Uint8Array.from(Buffer.from(text, "base64"));
    case "date":
    case "date-time": {
      const date = new Date(text);
      return Number.isNaN(date.getTime()) ? text : timestampFromDate(date);
    }
    case "duration":
      return readDuration(text);
    default:
      return text;
  }
}

function compileLater(expression: string): (text: string) => CelInput {
  return (text) => {
    try {
      return compileExpression(expression)({ text });
    } catch {
      return text;
    }
  };
}

function objectValue(value: JsonObject, schema: Schema | undefined): CelInput {
  const fields = new Map<string, CelInput>();
  const { properties, additionalProperties: rest } = schema ?? {};
  const keeps = schema === undefined || schema["x-kubernetes-preserve-unknown-fields"] === true;
  const embedded = schema?.["x-kubernetes-embedded-resource"] === true;
  for (const name of Object.keys(value)) {
    const own = properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (value[name] === null && own?.nullable !== true) continue;
    if (own !== undefined) fields.set(escapedName(name), celValue(fieldOf(value, name), own));
    else if (typeof rest === "object") fields.set(name, celValue(fieldOf(value, name), rest));
    else if (keeps || rest === true) fields.set(escapedName(name), celValue(fieldOf(value, name), undefined));
    else if (embedded && objectFields.has(name))
      fields.set(name, celValue(fieldOf(value, name), metadataSchema));
  }
  return celMap(fields);
}

const objectFields = new Set(["apiVersion", "kind", "metadata"]);
const metadataSchema: Schema = {
  properties: { name: { type: "string" }, generateName: { type: "string" } },
};

/** The object's own fields that a rule at its root may read, besides those of its schema. */
export function rootValue(object: JsonObject, schema: Schema): CelInput {
  return objectValue(object, { ...schema, "x-kubernetes-embedded-resource": true });
}
