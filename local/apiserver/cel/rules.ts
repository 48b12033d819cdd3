/**
 * A CRD's validation rules (`x-kubernetes-validations`), checked on an object and on what it replaces.
 *
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
 */
import type { CelInput, CelValue } from "@bufbuild/cel";
import { invalidValue, show } from "../field-errors.ts";
import { equalJson, fieldOf, isObject } from "../json.ts";
import { fieldSchema, type Schema, type ValidationRule } from "../schema/schema.ts";
import { correlatedItem } from "../schema/validate.ts";
import type { FieldError } from "../status.ts";
import { compiledOnce, compileOrFail } from "./cache.ts";
import { ExpressionError } from "./environment.ts";
import { celValue, rootValue } from "./values.ts";

const carriers = new WeakMap<Schema, boolean>();

/** Whether a rule stands anywhere in the schema. */
export function hasRules(schema: Schema): boolean {
  const known = carriers.get(schema);
  if (known !== undefined) return known;
  // A schema cannot hold itself: CRDs have no references.
  const { properties = {}, items, additionalProperties } = schema;
  const parts = [...Object.values(properties), items, additionalProperties];
  const found =
    (schema["x-kubernetes-validations"]?.length ?? 0) > 0 ||
    parts.some((part) => typeof part === "object" && hasRules(part));
  carriers.set(schema, found);
  return found;
}

/** Every rule that does not hold. `old` is undefined for a creation: rules about changes are not asked then. */
export function ruleFaults(object: unknown, old: unknown, schema: Schema): FieldError[] {
  return hasRules(schema) ? check({ value: object, old, schema, path: "", root: true }) : [];
}

interface Place {
  readonly value: unknown;
  /** What stood here; undefined where nothing did, or where it cannot be told. */
  readonly old: unknown;
  readonly schema: Schema;
  readonly path: string;
  readonly root?: true;
}

function check(place: Place): FieldError[] {
  const { value, old, schema } = place;
  if (!hasRules(schema) || value === null || value === undefined) return [];
  const rules = schema["x-kubernetes-validations"] ?? [];
  // What has not changed is not judged again, so that a rule that came later locks nobody out.
  const unchanged = old !== undefined && equalJson(value, old);
  const faults = rules
    .filter((rule) => !unchanged || aboutChanges(rule))
    .flatMap((rule) => judge(rule, place) ?? []);
  return [...faults, ...childrenOf(place).flatMap(check)];
}

function childrenOf({ value, old, schema, path }: Place): Place[] {
  if (Array.isArray(value) && schema.items !== undefined) {
    const { items } = schema;
    return value.map((item: unknown, index) => ({
      value: item,
      old: correlatedItem(item, old, schema),
      schema: items,
      path: `${path}[${index}]`,
    }));
  }
  if (!isObject(value)) return [];
  return Object.keys(value).flatMap((name) => {
    const field = fieldSchema(schema, name);
    if (field === undefined || (path === "" && name === "metadata")) return [];
    const keyed = schema.properties === undefined || !Object.hasOwn(schema.properties, name);
    const at = keyed ? `${path}[${name}]` : path === "" ? name : `${path}.${name}`;
    return [{ value: fieldOf(value, name), old: fieldOf(old, name), schema: field, path: at }];
  });
}

const aboutChanges = ({ rule }: ValidationRule): boolean => /\boldSelf\b/.test(rule);

/** The rule's fault; undefined where it holds, or is about a change and there was none. */
function judge(rule: ValidationRule, place: Place): FieldError | undefined {
  const { schema, old, value, root } = place;
  const optional = rule.optionalOldSelf === true;
  if (aboutChanges(rule) && old === undefined && !optional) return undefined;
  const shown = (part: unknown): CelInput =>
    root === true && isObject(part) ? rootValue(part, schema) : celValue(part, schema);
  const variables = { self: shown(value), oldSelf: old === undefined ? null : shown(old) };
  try {
    if (compiledOnce(rule.rule)(variables) === true) return undefined;
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    return failure(place, `${error.message} evaluating rule: ${messageOf(rule)}`);
  }
  return refusal(rule, place, evaluatedMessage(rule, variables) ?? messageOf(rule));
}

const messageOf = ({ message, rule }: ValidationRule): string => message ?? `failed rule: ${rule.trim()}`;

function evaluatedMessage(
  { messageExpression }: ValidationRule,
  variables: Record<string, CelInput>,
): string | undefined {
  if (messageExpression === undefined) return undefined;
  try {
    const text: CelValue = compiledOnce(messageExpression)(variables);
    return typeof text === "string" && text.trim() !== "" && !text.includes("\n") ? text : undefined;
  } catch (error) {
    if (error instanceof ExpressionError) return undefined;
    throw error;
  }
}

/** A rule that could not be judged: the type stands for the value. */
function failure({ path, schema }: Place, why: string): FieldError {
  return invalidValue(path === "" ? "<nil>" : path, schema.type ?? "", why);
}

function refusal({ reason, fieldPath }: ValidationRule, { path, value }: Place, message: string): FieldError {
  const joined = `${path}${fieldPath ?? ""}`.replace(/^\./, "");
  const field = joined === "" ? "<nil>" : joined;
  // Objects and lists are not repeated.
  const shown = typeof value === "object" ? "" : `: ${show(value)}`;
  switch (reason) {
    case "FieldValueForbidden":
      return { type: reason, field, message: `Forbidden: ${message}` };
    case "FieldValueRequired":
      return { type: reason, field, message: `Required value: ${message}` };
    case "FieldValueDuplicate":
      return { type: reason, field, message: `Duplicate value${shown}` };
    default:
      return { type: "FieldValueInvalid", field, message: `Invalid value${shown}: ${message}` };
  }
}

/** What is wrong with a CRD's rules themselves: those that cannot be compiled. `path` is the schema's. */
export function uncompilableRules(schema: Schema, path: string): FieldError[] {
  if (!hasRules(schema)) return [];
  const own = (schema["x-kubernetes-validations"] ?? []).flatMap(({ rule }, index): FieldError[] => {
    const found = compileOrFail(rule);
    if (!(found instanceof ExpressionError)) return [];
    return [
      {
        type: "FieldValueInvalid",
        field: `${path}.x-kubernetes-validations[${index}].rule`,
        message: `Invalid value: ${JSON.stringify(rule)}: compilation failed: ${found.message}`,
      },
    ];
  });
  const { properties = {}, items, additionalProperties } = schema;
  return [
    ...own,
    ...Object.entries(properties).flatMap(([name, part]) =>
      uncompilableRules(part, `${path}.properties[${name}]`),
    ),
    ...(items === undefined ? [] : uncompilableRules(items, `${path}.items`)),
    ...(typeof additionalProperties === "object"
      ? uncompilableRules(additionalProperties, `${path}.additionalProperties`)
      : []),
  ];
}
