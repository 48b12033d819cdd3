/** Validates values against a CRD's schema, and words what ajv finds for the person who wrote the manifest. */
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import { below } from "./pointer.ts";
import { type Fields, isObject } from "./prepare.ts";
import type { Schema } from "./schema.ts";
import { quoteAll, suggest } from "./suggest.ts";

/** What is wrong with one field. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** Compiled once per schema, at first use: start-up neither waits for it nor keeps kinds that nobody uses. */
const compiled = new WeakMap<Schema, ValidateFunction>();
let ajv: Ajv | undefined;

/** All that keeps `value` from matching `schema`; `pointer` is where `value` stands in its object. */
export function validateSchema(schema: Schema, value: unknown, pointer = ""): FieldError[] {
  const validate = compile(schema);
  if (validate(value)) return [];
  const errors = validate.errors ?? [];
  // Errors inside a branch of oneOf, anyOf or not repeat what the keyword itself says.
  const told = errors.filter((error) => !/\/(oneOf|anyOf|not)\//.test(error.schemaPath));
  return told.map((error) => word(error, pointer));
}

function compile(schema: Schema): ValidateFunction {
  const known = compiled.get(schema);
  if (known) return known;
  ajv ??= new Ajv({
    strict: false,
    allErrors: true,
    verbose: true,
    validateFormats: false,
    ownProperties: true,
    addUsedSchema: false,
  });
  const validate = ajv.compile(asJsonSchema(schema));
  compiled.set(schema, validate);
  return validate;
}

/** JSON schema has no int-or-string, so it is spelt out. */
function asJsonSchema(schema: Schema): Fields {
  const {
    properties,
    items,
    additionalProperties,
    description: _description,
    default: _default,
    ...rest
  } = schema;
  const made: Fields = { ...rest };
  if (schema["x-kubernetes-int-or-string"]) made.type = ["integer", "string"];
  if (properties)
    made.properties = Object.fromEntries(
      Object.entries(properties).map(([name, property]) => [name, asJsonSchema(property)]),
    );
  if (items) made.items = asJsonSchema(items);
  if (additionalProperties) made.additionalProperties = asJsonSchema(additionalProperties);
  return made;
}

/** What the patterns of our CRDs mean, in words. */
const durationPatterns: Readonly<Record<string, string>> = {
  "^[0-9]+(m|s)": "must be a duration in minutes or seconds such as `30s` or `1m30s`",
  "^([0-9]+(\\.[0-9]+)?(ms|h|m|s))+$": "must be a duration such as `4h` or `1m30s`",
};

function word(error: ErrorObject, pointer: string): FieldError {
  const at = pointer + error.instancePath;
  const { params, data, parentSchema } = error;
  switch (error.keyword) {
    case "required":
      return { field: below(at, String(params.missingProperty)), message: "is required" };
    case "type":
      return {
        field: at,
        message: `is ${typeof data === "string" ? "the string " : ""}${show(data)}, must be ${typeName(params.type)}`,
      };
    case "enum": {
      const allowed = (params.allowedValues as readonly unknown[]).map(String);
      const hint = typeof data === "string" ? suggest(data, allowed) : `allowed are ${quoteAll(allowed)}`;
      return { field: at, message: `is ${show(data)}, ${hint}` };
    }
    case "pattern": {
      const pattern = String(params.pattern);
      const wanted = durationPatterns[pattern] ?? `must match ${pattern}`;
      return { field: at, message: `is ${show(data)}, ${wanted}` };
    }
    case "minimum":
      return { field: at, message: `is ${show(data)}, must be at least ${params.limit}` };
    case "maximum":
      return { field: at, message: `is ${show(data)}, must be at most ${params.limit}` };
    case "oneOf":
    case "anyOf":
      return { field: at, message: wordChoice(error.keyword, parentSchema, data) };
    default:
      return { field: at, message: error.message ?? `does not satisfy ${error.keyword}` };
  }
}

/** Words a oneOf or anyOf whose branches are `required` lists, with or without a branch for "none of them". */
function wordChoice(keyword: "oneOf" | "anyOf", schema: unknown, data: unknown): string {
  const branches = isObject(schema) && Array.isArray(schema[keyword]) ? schema[keyword].filter(isObject) : [];
  const names = branches.flatMap((branch) =>
    Array.isArray(branch.required) ? branch.required.map(String) : [],
  );
  const given = isObject(data) ? names.filter((name) => Object.hasOwn(data, name)) : [];
  if (keyword === "anyOf") return `needs one of ${quoteAll(names)}`;
  const mayBeNone = branches.some((branch) => "not" in branch);
  if (given.length > 1) return `takes only one of ${quoteAll(names)}, has ${quoteAll(given)}`;
  return mayBeNone ? `takes at most one of ${quoteAll(names)}` : `needs one of ${quoteAll(names)}`;
}

function typeName(type: unknown): string {
  const names: Readonly<Record<string, string>> = {
    string: "a string",
    number: "a number",
    integer: "a whole number",
    boolean: "true or false",
    object: "an object",
    array: "a list",
    null: "null",
  };
  return (Array.isArray(type) ? type : String(type).split(","))
    .map((name) => names[String(name)] ?? String(name))
    .join(" or ");
}

/** A value as the user wrote it, short enough for one line. */
export function show(value: unknown): string {
  if (typeof value === "string") return value === "" ? "empty" : `\`${cut(value.replace(/\s+/g, " "))}\``;
  if (Array.isArray(value)) return "a list";
  if (isObject(value)) return "an object";
  return `\`${cut(String(value))}\``;
}

function cut(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
