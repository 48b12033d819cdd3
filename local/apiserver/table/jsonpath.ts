/**
 * The JSONPath of a CRD's `additionalPrinterColumns`: fields, `['a.b']`, `[0]`, `[-1]`, `[*]` and
 * `[?(@.type=="Ready")]`. It never evaluates code.
 *
 * @see https://kubernetes.io/docs/reference/kubectl/jsonpath/
 */
import { fieldOf } from "../json.ts";

type Step =
  | { readonly kind: "field"; readonly name: string }
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "all" }
  | {
      readonly kind: "filter";
      readonly path: readonly Step[];
      readonly equal: boolean;
      readonly value: string;
    };

const parsed = new Map<string, readonly Step[] | undefined>();

/** Every value that `path` (with or without its leading `$` or `{`) finds in `value`. Empty for a path that cannot be read. */
export function findJsonPath(value: unknown, path: string): unknown[] {
  if (!parsed.has(path)) {
    if (parsed.size > 2000) parsed.clear();
    parsed.set(path, parse(path.replace(/^\{(.*)\}$/s, "$1")));
  }
  const steps = parsed.get(path);
  return steps === undefined ? [] : walk([value], steps);
}

function parse(path: string): Step[] | undefined {
  const steps: Step[] = [];
  const token =
    /^\$?(?:\.([A-Za-z_$][\w$-]*|\*)|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]|\[(-?\d+)\]|\[\*\]|\[\?\(\s*@((?:\.[\w-]+|\['[^']*'\])+)\s*(==|!=)\s*(?:"([^"]*)"|'([^']*)'|([\w.-]+))\s*\)\])/;
  let rest = path;
  while (rest !== "" && rest !== "$") {
    const match = token.exec(rest);
    if (match === null) return undefined;
    const [whole, field, single, double, index, filterPath, operator, ...values] = match;
    if (field === "*") steps.push({ kind: "all" });
    else if (field !== undefined) steps.push({ kind: "field", name: field });
    else if (single !== undefined || double !== undefined) {
      steps.push({ kind: "field", name: (single ?? double ?? "").replace(/\\(.)/g, "$1") });
    } else if (index !== undefined) steps.push({ kind: "index", index: Number(index) });
    else if (filterPath !== undefined) {
      const inner = parse(filterPath);
      if (inner === undefined) return undefined;
      const value = values.find((text) => text !== undefined) ?? "";
      steps.push({ kind: "filter", path: inner, equal: operator === "==", value });
    } else steps.push({ kind: "all" });
    rest = rest.slice(whole.length);
  }
  return steps;
}

function walk(values: readonly unknown[], steps: readonly Step[]): unknown[] {
  let current = [...values];
  for (const step of steps) current = current.flatMap((value) => follow(value, step));
  return current;
}

function follow(value: unknown, step: Step): unknown[] {
  switch (step.kind) {
    case "field": {
      const found = fieldOf(value, step.name);
      return found === undefined ? [] : [found];
    }
    case "index": {
      const found = Array.isArray(value) ? value.at(step.index) : undefined;
      return found === undefined ? [] : [found];
    }
    case "all":
      if (Array.isArray(value)) return value;
      return typeof value === "object" && value !== null ? Object.values(value) : [];
    case "filter":
      if (!Array.isArray(value)) return [];
      return value.filter((item) => (String(walk([item], step.path)[0]) === step.value) === step.equal);
  }
}
