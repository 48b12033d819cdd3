/** What Kubernetes adds to lists: sums, order, places; and sets. */
import {
  type CelFunc,
  type CelList,
  CelScalar,
  type CelValue,
  celFunc,
  celMethod,
  listType,
  run,
} from "@bufbuild/cel";

const { BOOL, DYN, INT } = CelScalar;
const list = listType(DYN);

/** Equality and order are the evaluator's own. */
function holds(expression: string, a: CelValue, b: CelValue): boolean {
  return run(expression, { a, b }) === true;
}

const equal = (a: CelValue, b: CelValue) => holds("a == b", a, b);
const includes = (values: CelList, wanted: CelValue) => [...values].some((value) => equal(value, wanted));

function extreme(values: CelList, name: "min" | "max"): CelValue {
  const [first, ...rest] = values;
  if (first === undefined) throw new Error(`${name} called on empty list`);
  const better = name === "min" ? "a < b" : "a > b";
  return rest.reduce<CelValue>((best, value) => (holds(better, value, best) ? value : best), first);
}

function sum(values: CelList): CelValue {
  const [first, ...rest] = values;
  if (first === undefined) return 0n;
  return rest.reduce<CelValue>((total, value) => {
    if (typeof total === "bigint" && typeof value === "bigint") return total + value;
    if (typeof total === "number" && typeof value === "number") return total + value;
    throw new Error("no such overload");
  }, first);
}

/** @see k8s.io/apiserver/pkg/cel/library/lists.go, cel-go's ext.Sets */
export const listFunctions: readonly CelFunc[] = [
  celMethod("isSorted", list, [], BOOL, function () {
    const items = [...this];
    return items.every((item, index) => {
      const before = items[index - 1];
      return before === undefined || !holds("a < b", item, before);
    });
  }),
  celMethod("sum", list, [], DYN, function () {
    return sum(this);
  }),
  celMethod("min", list, [], DYN, function () {
    return extreme(this, "min");
  }),
  celMethod("max", list, [], DYN, function () {
    return extreme(this, "max");
  }),
  celMethod("indexOf", list, [DYN], INT, function (wanted) {
    return BigInt([...this].findIndex((value) => equal(value, wanted)));
  }),
  celMethod("lastIndexOf", list, [DYN], INT, function (wanted) {
    return BigInt([...this].findLastIndex((value) => equal(value, wanted)));
  }),
  celFunc("sets.contains", [list, list], BOOL, (whole, part) =>
    [...part].every((value) => includes(whole, value)),
  ),
  celFunc("sets.intersects", [list, list], BOOL, (left, right) =>
    [...left].some((value) => includes(right, value)),
  ),
  celFunc(
    "sets.equivalent",
    [list, list],
    BOOL,
    (left, right) =>
      [...left].every((value) => includes(right, value)) &&
      [...right].every((value) => includes(left, value)),
  ),
];
