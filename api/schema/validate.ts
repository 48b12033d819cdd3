/**
 * Validates values against a CRD's structural schema, in words for the person who wrote the manifest.
 *
 * Written by hand for the keywords that our CRDs use: compiling them with ajv took 60 MB and 200 ms of a control plane
 * that has 200 MB.
 */
import { below } from "./pointer.ts";
import { type Fields, isObject } from "./prepare.ts";
import type { Schema } from "./schema.ts";
import { quoteAll, suggest } from "./suggest.ts";

/** What is wrong with one field. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** All that keeps `value` from matching `schema`; `pointer` is where `value` stands in its object. */
export function validateSchema(schema: Schema, value: unknown, pointer = ""): FieldError[] {
  if (value === null && schema.nullable) return [];
  const wrongType = checkType(schema, value);
  if (wrongType !== undefined) return [{ field: pointer, message: wrongType }];
  const messages = [
    checkEnum(schema, value),
    checkText(schema, value),
    checkNumber(schema, value),
    checkSize(schema, value),
    ...checkChoices(schema, value),
  ];
  const own = messages.flatMap((message) => (message === undefined ? [] : [{ field: pointer, message }]));
  if (Array.isArray(value)) return [...own, ...validateItems(schema, value, pointer)];
  if (isObject(value)) return [...own, ...validateFields(schema, value, pointer)];
  return own;
}

function validateItems({ items }: Schema, value: readonly unknown[], pointer: string): FieldError[] {
  return items ? value.flatMap((item, index) => validateSchema(items, item, below(pointer, index))) : [];
}

function validateFields(
  { required = [], properties = {}, additionalProperties }: Schema,
  value: Fields,
  pointer: string,
): FieldError[] {
  const missing = required.filter((name) => !Object.hasOwn(value, name));
  const errors = missing.map((name): FieldError => ({ field: below(pointer, name), message: "is required" }));
  for (const [name, field] of Object.entries(value)) {
    const schema = Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    if (schema && field !== undefined) errors.push(...validateSchema(schema, field, below(pointer, name)));
  }
  return errors;
}

const typeNames: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
  object: "an object",
  array: "a list",
};

function checkType(schema: Schema, value: unknown): string | undefined {
  const allowed = schema["x-kubernetes-int-or-string"]
    ? ["integer", "string"]
    : schema.type === undefined
      ? []
      : [schema.type];
  if (allowed.length === 0 || allowed.some((type) => isOfType(value, type))) return undefined;
  const found = typeof value === "string" && value !== "" ? `the string ${show(value)}` : show(value);
  return `is ${found}, must be ${allowed.map((type) => typeNames[type] ?? type).join(" or ")}`;
}

function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case "array":
      return Array.isArray(value);
    case "object":
      return isObject(value);
    case "integer":
      return Number.isInteger(value);
    case "number":
      return Number.isFinite(value);
    default:
      return typeof value === type;
  }
}

function checkEnum({ enum: allowed }: Schema, value: unknown): string | undefined {
  if (!allowed || allowed.includes(value)) return undefined;
  const names = allowed.map(String);
  return `is ${show(value)}, ${typeof value === "string" ? suggest(value, names) : `allowed are ${quoteAll(names)}`}`;
}

/** What the patterns of our CRDs mean, in words. */
const patternNames: Readonly<Record<string, string>> = {
  "^[0-9]+(m|s)": "be a duration in minutes or seconds such as `30s` or `1m30s`",
  "^([0-9]+(\\.[0-9]+)?(ms|h|m|s))+$": "be a duration such as `4h` or `1m30s`",
};

/** Patterns are the CRDs' own, never a user's. */
const patterns = new Map<string, RegExp>();

function matches(pattern: string, value: string): boolean {
  let compiled = patterns.get(pattern);
  if (!compiled) {
    compiled = new RegExp(pattern, "u");
    patterns.set(pattern, compiled);
  }
  return compiled.test(value);
}

function checkText({ pattern, minLength, maxLength }: Schema, value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  if (maxLength !== undefined && value.length > maxLength)
    return `is ${show(value)}, must have at most ${maxLength} characters`;
  if (minLength !== undefined && value.length < minLength)
    return `is ${show(value)}, must have at least ${minLength} characters`;
  if (pattern !== undefined && !matches(pattern, value))
    return `is ${show(value)}, must ${patternNames[pattern] ?? `match ${pattern}`}`;
  return undefined;
}

function checkNumber({ minimum, maximum }: Schema, value: unknown): string | undefined {
  if (typeof value !== "number") return undefined;
  if (minimum !== undefined && value < minimum) return `is ${show(value)}, must be at least ${minimum}`;
  if (maximum !== undefined && value > maximum) return `is ${show(value)}, must be at most ${maximum}`;
  return undefined;
}

function checkSize(
  { minItems, maxItems, minProperties, maxProperties }: Schema,
  value: unknown,
): string | undefined {
  if (Array.isArray(value)) {
    if (minItems !== undefined && value.length < minItems)
      return `has ${value.length} items, must have at least ${minItems}`;
    if (maxItems !== undefined && value.length > maxItems)
      return `has ${value.length} items, may have ${maxItems}`;
  }
  if (isObject(value) && minProperties !== undefined && Object.keys(value).length < minProperties)
    return `must have at least ${minProperties} entry`;
  if (isObject(value) && maxProperties !== undefined && Object.keys(value).length > maxProperties)
    return `must have at most ${maxProperties} entries`;
  return undefined;
}

function checkChoices(schema: Schema, value: unknown): (string | undefined)[] {
  const { oneOf, anyOf } = schema;
  const holding = (branches: readonly Schema[]) => branches.filter((branch) => holds(branch, value)).length;
  return [
    oneOf && holding(oneOf) !== 1 ? wordOneOf(oneOf, value) : undefined,
    anyOf && holding(anyOf) === 0 ? `needs one of ${quoteAll(namesIn(anyOf))}` : undefined,
  ];
}

/** Whether a branch of oneOf, anyOf or not holds: in a structural schema it has no types, only what is required. */
function holds(branch: Schema, value: unknown): boolean {
  if (branch.not && holds(branch.not, value)) return false;
  if (branch.anyOf && !branch.anyOf.some((inner) => holds(inner, value))) return false;
  return (branch.required ?? []).every((name) => isObject(value) && Object.hasOwn(value, name));
}

/** One branch may say "none of them"; the others each require one field. */
function wordOneOf(branches: readonly Schema[], value: unknown): string {
  const names = namesIn(branches);
  const given = isObject(value) ? names.filter((name) => Object.hasOwn(value, name)) : [];
  if (given.length > 1) return `takes only one of ${quoteAll(names)}, has ${quoteAll(given)}`;
  return `needs one of ${quoteAll(names)}`;
}

function namesIn(branches: readonly Schema[]): string[] {
  return branches.flatMap(({ required }) => required ?? []);
}

/** A value as the user wrote it, short enough for one line. */
export function show(value: unknown): string {
  if (value === "") return "empty";
  if (Array.isArray(value)) return "a list";
  if (isObject(value)) return "an object";
  const text = String(value).replace(/\s+/g, " ");
  return `\`${text.length > 60 ? `${text.slice(0, 57)}...` : text}\``;
}
