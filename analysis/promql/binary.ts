import { type BinaryOperator, type Expression, type Labels, QueryError } from "./syntax.ts";
import { chosen, labelKey, type Sample, type Value } from "./value.ts";

type Operation = Pick<Extract<Expression, { kind: "binary" }>, "operator" | "bool" | "matching">;

const comparisons: ReadonlySet<string> = new Set(["==", "!=", ">", "<", ">=", "<="]);
const sets: ReadonlySet<string> = new Set(["and", "or", "unless"]);

/** Two values by an operator: numbers, series with a number, or series with those of the same labels. */
export function binary(left: Value, right: Value, operation: Operation): Value {
  if (left.kind === "matrix" || right.kind === "matrix") {
    throw new QueryError(`\`${operation.operator}\` cannot take a range of time`);
  }
  if (sets.has(operation.operator)) {
    if (left.kind !== "vector" || right.kind !== "vector")
      throw new QueryError(`\`${operation.operator}\` wants series on both sides`);
    return { kind: "vector", samples: combine(left.samples, right.samples, operation) };
  }
  if (left.kind === "scalar" && right.kind === "scalar") {
    if (comparisons.has(operation.operator) && !operation.bool)
      throw new QueryError("a comparison of two numbers needs `bool`");
    return { kind: "scalar", value: apply(operation.operator, left.value, right.value) };
  }
  if (left.kind === "vector" && right.kind === "vector") {
    return { kind: "vector", samples: pair(left.samples, right.samples, operation) };
  }
  const vector = left.kind === "vector" ? left : right.kind === "vector" ? right : undefined;
  const samples = (vector?.samples ?? []).flatMap((sample) =>
    result(
      sample,
      left.kind === "scalar" ? left.value : sample.value,
      right.kind === "scalar" ? right.value : sample.value,
      operation,
    ),
  );
  return { kind: "vector", samples };
}

/** One-to-one: each series with that of the same labels on the other side. */
function pair(left: readonly Sample[], right: readonly Sample[], operation: Operation): Sample[] {
  const others = keyed(right, operation.matching);
  const seen = keyed(left, operation.matching);
  return [...seen].flatMap(([key, sample]) => {
    const other = others.get(key);
    if (other === undefined) return [];
    const kept = comparisons.has(operation.operator) && !operation.bool;
    const labels = kept ? sample.labels : chosen(sample.labels, operation.matching);
    return result({ ...sample, labels }, sample.value, other.value, operation);
  });
}

function keyed(samples: readonly Sample[], matching: Labels): Map<string, Sample> {
  const found = new Map<string, Sample>();
  for (const sample of samples) {
    const key = labelKey(chosen(sample.labels, matching));
    if (found.has(key))
      throw new QueryError("several series on one side have the same labels: name more labels");
    found.set(key, sample);
  }
  return found;
}

/** What a pair comes to: nothing where a comparison does not hold. */
function result(sample: Sample, a: number, b: number, { operator, bool }: Operation): Sample[] {
  const value = apply(operator, a, b);
  if (!comparisons.has(operator)) return [{ name: "", labels: sample.labels, value }];
  if (bool) return [{ name: "", labels: sample.labels, value }];
  return value === 1 ? [sample] : [];
}

function combine(
  left: readonly Sample[],
  right: readonly Sample[],
  { operator, matching }: Operation,
): Sample[] {
  const key = (sample: Sample): string => labelKey(chosen(sample.labels, matching));
  const inRight = new Set(right.map(key));
  if (operator === "and") return left.filter((sample) => inRight.has(key(sample)));
  if (operator === "unless") return left.filter((sample) => !inRight.has(key(sample)));
  const inLeft = new Set(left.map(key));
  return [...left, ...right.filter((sample) => !inLeft.has(key(sample)))];
}

function apply(operator: BinaryOperator, a: number, b: number): number {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return a / b;
    case "%":
      return a % b;
    case "^":
      return a ** b;
    case "==":
      return a === b ? 1 : 0;
    case "!=":
      return a === b ? 0 : 1;
    case ">":
      return a > b ? 1 : 0;
    case "<":
      return a < b ? 1 : 0;
    case ">=":
      return a >= b ? 1 : 0;
    case "<=":
      return a <= b ? 1 : 0;
    default:
      throw new QueryError(`\`${operator}\` wants series on both sides`);
  }
}
