import { isObject, listAt, objectAt } from "../json.ts";
import { badRequest } from "../status.ts";

/** Tells whether an object with these labels is selected. */
export type LabelMatch = (labels: Readonly<Record<string, unknown>>) => boolean;

type Operator = "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";

interface Requirement {
  readonly key: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

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
  const terms = text.match(/(?:[^,(]|\([^)]*\))+/g) ?? [];
  return every(terms.map((term) => parseTerm(term.trim(), text)));
}

function parseTerm(term: string, whole: string): Requirement {
  const set = /^([^\s!=<>()]+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(term);
  if (set !== null) {
    const values = (set[3] ?? "").split(",").map((value) => value.trim());
    return { key: set[1] ?? "", operator: set[2] === "in" ? "In" : "NotIn", values };
  }
  const comparison = /^([^\s!=<>()]+)\s*(==|=|!=|>|<)\s*([^\s!=<>()]*)$/.exec(term);
  if (comparison !== null) {
    const operators: Record<string, Operator> = {
      "=": "In",
      "==": "In",
      "!=": "NotIn",
      ">": "Gt",
      "<": "Lt",
    };
    return {
      key: comparison[1] ?? "",
      operator: operators[comparison[2] ?? "="] ?? "In",
      values: [comparison[3] ?? ""],
    };
  }
  const presence = /^(!?)\s*([^\s!=<>(),]+)$/.exec(term);
  if (presence !== null) {
    return { key: presence[2] ?? "", operator: presence[1] === "!" ? "DoesNotExist" : "Exists", values: [] };
  }
  throw badRequest(`unable to parse requirement: found '${term}' in label selector '${whole}'`);
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
