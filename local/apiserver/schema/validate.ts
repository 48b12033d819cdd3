/** Validation by a structural schema, with Kubernetes' own messages. */
import { RE2JS } from "re2js";
import {
  duplicate,
  invalidValue,
  notSupported,
  required,
  show,
  tooLong,
  tooMany,
  wrongType,
} from "../field-errors.ts";
import { equalJson, fieldOf, isObject, type JsonObject } from "../json.ts";
import type { FieldError } from "../status.ts";
import { formatFault } from "./formats.ts";
import { fieldSchema, type Schema } from "./schema.ts";

/**
 * Every fault of `value`; empty where it fits. `path` is where it stands, "" at the root.
 *
 * @param old what it replaces: what has not changed has no faults, so that a schema that became narrower locks nobody out
 */
export function validateSchema(value: unknown, schema: Schema, path = "", old?: unknown): FieldError[] {
  if (value === null && (schema.nullable === true || schema.type === undefined)) return [];
  const found = faultsOf(value, schema, path, old);
  return found.length > 0 && old !== undefined && equalJson(value, old) ? [] : found;
}

function faultsOf(value: unknown, schema: Schema, path: string, old: unknown): FieldError[] {
  const typeFault = checkType(value, schema, path);
  if (typeFault !== undefined) return [typeFault];
  return [
    ...checkEnum(value, schema, path),
    ...(typeof value === "string" ? checkText(value, schema, path) : []),
    ...(typeof value === "number" ? checkNumber(value, schema, path) : []),
    ...(Array.isArray(value) ? checkList(value, schema, path, old) : []),
    ...(isObject(value) ? checkObject(value, schema, path, old) : []),
    ...checkCombinations(value, schema, path),
  ];
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}

function checkType(value: unknown, schema: Schema, path: string): FieldError | undefined {
  const found = typeName(value);
  if (schema["x-kubernetes-int-or-string"] === true) {
    return found === "integer" || found === "string" ? undefined : wrongType(path, found, "integer,string");
  }
  const wanted = schema.type;
  if (wanted === undefined || wanted === found || (wanted === "number" && found === "integer"))
    return undefined;
  return wrongType(path, found, wanted);
}

function checkEnum(value: unknown, schema: Schema, path: string): FieldError[] {
  const allowed = schema.enum;
  if (allowed === undefined || allowed.some((item) => equalJson(item, value))) return [];
  return [notSupported(path, value, allowed)];
}

const patterns = new Map<string, RE2JS | undefined>();

function compiled(pattern: string): RE2JS | undefined {
  if (!patterns.has(pattern)) {
    if (patterns.size > 5000) patterns.clear();
    try {
      patterns.set(pattern, RE2JS.compile(pattern));
    } catch {
      // A pattern that RE2 does not take would be refused by Kubernetes with the CRD; here it checks nothing.
      patterns.set(pattern, undefined);
    }
  }
  return patterns.get(pattern);
}

function checkText(value: string, { format, ...schema }: Schema, path: string): FieldError[] {
  const fault = format === undefined ? undefined : formatFault(value, format);
  return [
    ...lengthOrPattern(value, schema, path),
    ...(fault === undefined
      ? []
      : [
          {
            ...invalidValue(path, value, `${path} in body ${fault}`),
            type: "FieldValueTypeInvalid" as const,
          },
        ]),
  ];
}

/** The first of the three that does not fit. */
function lengthOrPattern(
  value: string,
  { minLength, maxLength, pattern }: Schema,
  path: string,
): FieldError[] {
  const length = minLength === undefined && maxLength === undefined ? 0 : Array.from(value).length;
  if (maxLength !== undefined && length > maxLength) return [tooLong(path, maxLength)];
  if (minLength !== undefined && length < minLength)
    return [invalidValue(path, value, `${path} in body should be at least ${minLength} chars long`)];
  if (pattern !== undefined && compiled(pattern)?.matcher(value).find() === false)
    return [invalidValue(path, value, `${path} in body should match '${pattern}'`)];
  return [];
}

function checkNumber(value: number, schema: Schema, path: string): FieldError[] {
  const { minimum, maximum, multipleOf, exclusiveMinimum, exclusiveMaximum } = schema;
  const faults: FieldError[] = [];
  if (minimum !== undefined && (exclusiveMinimum === true ? value <= minimum : value < minimum)) {
    faults.push(
      invalidValue(
        path,
        value,
        `${path} in body should be greater than ${exclusiveMinimum === true ? "" : "or equal to "}${minimum}`,
      ),
    );
  }
  if (maximum !== undefined && (exclusiveMaximum === true ? value >= maximum : value > maximum)) {
    faults.push(
      invalidValue(
        path,
        value,
        `${path} in body should be less than ${exclusiveMaximum === true ? "" : "or equal to "}${maximum}`,
      ),
    );
  }
  if (multipleOf !== undefined && multipleOf > 0 && !Number.isInteger(value / multipleOf)) {
    faults.push(invalidValue(path, value, `${path} in body should be a multiple of ${multipleOf}`));
  }
  if (schema.format === "int32" && (value > 2_147_483_647 || value < -2_147_483_648)) {
    faults.push(invalidValue(path, value, `${path} in body must be of type int32: ${show(value)}`));
  }
  return faults;
}

function checkList(list: readonly unknown[], schema: Schema, path: string, old: unknown): FieldError[] {
  const { minItems, maxItems, items, uniqueItems } = schema;
  const faults: FieldError[] = [];
  if (maxItems !== undefined && list.length > maxItems) faults.push(tooMany(path, list.length, maxItems));
  if (minItems !== undefined && list.length < minItems) {
    faults.push(invalidValue(path, list.length, `${path} in body should have at least ${minItems} items`));
  }
  if (items !== undefined) {
    list.forEach((item, index) => {
      faults.push(...validateSchema(item, items, `${path}[${index}]`, correlatedItem(item, old, schema)));
    });
  }
  if (uniqueItems === true || schema["x-kubernetes-list-type"] === "set")
    faults.push(...repeated(list, (item) => item, path));
  const keys = schema["x-kubernetes-list-map-keys"];
  if (schema["x-kubernetes-list-type"] === "map" && keys !== undefined) {
    const keyOf = (item: unknown) =>
      Object.fromEntries(keys.map((key) => [key, isObject(item) ? item[key] : undefined]));
    faults.push(...repeated(list, keyOf, path));
  }
  return faults;
}

/** What an item of a list with keys replaces; of other lists it cannot be told. */
export function correlatedItem(item: unknown, old: unknown, schema: Schema): unknown {
  const keys = schema["x-kubernetes-list-map-keys"];
  if (schema["x-kubernetes-list-type"] !== "map" || keys === undefined || !Array.isArray(old))
    return undefined;
  return old.find((known: unknown) =>
    keys.every((key) => equalJson(fieldOf(known, key), fieldOf(item, key))),
  );
}

function repeated(list: readonly unknown[], keyOf: (item: unknown) => unknown, path: string): FieldError[] {
  const seen = new Set<string>();
  return list.flatMap((item, index) => {
    const key = keyOf(item);
    const text = JSON.stringify(key);
    if (seen.has(text)) return [duplicate(`${path}[${index}]`, key)];
    seen.add(text);
    return [];
  });
}

function checkObject(object: JsonObject, schema: Schema, path: string, old: unknown): FieldError[] {
  const faults: FieldError[] = [];
  const names = Object.keys(object);
  const { maxProperties, minProperties } = schema;
  if (maxProperties !== undefined && names.length > maxProperties)
    faults.push(tooMany(path, names.length, maxProperties));
  if (minProperties !== undefined && names.length < minProperties) {
    faults.push(
      invalidValue(path, names.length, `${path} in body should have at least ${minProperties} properties`),
    );
  }
  for (const name of schema.required ?? []) {
    if (!Object.hasOwn(object, name)) faults.push(required(join(path, name)));
  }
  for (const name of names) {
    // Metadata has been read by the server; a root schema may only narrow its name.
    if (path === "" && name === "metadata") continue;
    const field = fieldSchema(schema, name);
    if (field !== undefined)
      faults.push(...validateSchema(object[name], field, join(path, name), fieldOf(old, name)));
  }
  return faults;
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function checkCombinations(value: unknown, schema: Schema, path: string): FieldError[] {
  const faults: FieldError[] = [];
  const fits = (part: Schema) => validateSchema(value, part, path).length === 0;
  for (const part of schema.allOf ?? []) faults.push(...validateSchema(value, part, path));
  const place = path === "" ? "<nil>" : path;
  if (schema.anyOf !== undefined && !schema.anyOf.some(fits)) {
    faults.push(invalidValue(path, "", `${place} in body must validate at least one schema (anyOf)`));
    faults.push(...validateSchema(value, schema.anyOf[0] ?? {}, path));
  }
  if (schema.oneOf !== undefined) {
    const count = schema.oneOf.filter(fits).length;
    if (count !== 1) {
      const found = count === 0 ? "Found none valid" : `Found ${count} valid alternatives`;
      faults.push(
        invalidValue(path, "", `${place} in body must validate one and only one schema (oneOf). ${found}`),
      );
    }
  }
  if (schema.not !== undefined && fits(schema.not)) {
    faults.push(invalidValue(path, "", `${place} in body must not validate the schema (not)`));
  }
  return faults;
}
