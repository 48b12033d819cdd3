import { isObject, listAt, objectAt } from "../json.ts";
import { badRequest } from "../status.ts";
import { type Operator, parseRequirements, type Requirement, SelectorError } from "./label-parser.ts";

/** Tells whether an object with these labels is selected. */
export type LabelMatch = (labels: Readonly<Record<string, unknown>>) => boolean;

function matches({ key, operator, values }: Requirement, labels: Readonly<Record<string, unknown>>): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "In":
      return typeof value === "string" && values.includes(value);
    case "NotIn":
      return typeof value !== "string" || !values.includes(value);
    case "Gt":
      return typeof value === "string" && Number(value) > Number(values[0]);
    case "Lt":
      return typeof value === "string" && Number(value) < Number(values[0]);
  }
}

const all: LabelMatch = () => true;

function every(requirements: readonly Requirement[]): LabelMatch {
  if (requirements.length === 0) return all;
  return (labels) => requirements.every((requirement) => matches(requirement, labels));
}

/** Reads `labelSelector` of a query: `a=b,c!=d,e in (f,g),h notin (i),j,!k`. Throws 400 where it cannot be read. */
export function parseLabelSelector(text: string): LabelMatch {
  try {
    return every(parseRequirements(text));
  } catch (error) {
    if (error instanceof SelectorError) throw badRequest(error.message);
    throw error;
  }
}

/** Reads a LabelSelector object (`matchLabels`, `matchExpressions`). An empty one selects everything. */
export function readLabelSelector(selector: unknown): LabelMatch {
  const fixed = Object.entries(objectAt(selector, "matchLabels")).map(
    ([key, value]): Requirement => ({ key, operator: "In", values: [String(value)] }),
  );
  const expressions = listAt(selector, "matchExpressions").flatMap((expression): Requirement[] => {
    if (!isObject(expression)) return [];
    const { key, operator } = expression;
    if (typeof key !== "string" || !isOperator(operator)) return [];
    return [{ key, operator, values: listAt(expression, "values").map(String) }];
  });
  return every([...fixed, ...expressions]);
}

function isOperator(value: unknown): value is Operator {
  return value === "In" || value === "NotIn" || value === "Exists" || value === "DoesNotExist";
}

/** A LabelSelector object as text, as the scale subresource and tables show it. */
export function printLabelSelector(selector: unknown): string {
  const fixed = Object.entries(objectAt(selector, "matchLabels")).map(
    ([key, value]) => `${key}=${String(value)}`,
  );
  const expressions = listAt(selector, "matchExpressions").flatMap((expression) => {
    if (!isObject(expression)) return [];
    const values = `(${listAt(expression, "values").join(",")})`;
    switch (expression.operator) {
      case "In":
        return [`${String(expression.key)} in ${values}`];
      case "NotIn":
        return [`${String(expression.key)} notin ${values}`];
      case "Exists":
        return [String(expression.key)];
      default:
        return [`!${String(expression.key)}`];
    }
  });
  return [...fixed, ...expressions].join(",");
}
