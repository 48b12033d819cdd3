/**
 * Whether a configuration is of its type, in the words of structured-merge-diff.
 *
 * @see sigs.k8s.io/structured-merge-diff/typed/validate.go
 */
import { fieldOf, isObject, type JsonObject } from "../json.ts";
import { type Path, showPath } from "./field-set.ts";
import type { ListShape, MapShape, Shape } from "./shape.ts";
import { itemStep, narrowed } from "./walk.ts";

/** Every fault, e.g. `.spec.replicas: expected numeric (int or float), got string`; none for a configuration that fits. */
export function typeFaults(value: unknown, shape: Shape): string[] {
  const faults: string[] = [];
  check(value, shape, [], (path, why) => faults.push(`${showPath(path)}: ${why}`));
  return faults;
}

type Refuse = (path: Path, why: string) => void;

function check(value: unknown, shape: Shape, path: Path, refuse: Refuse): void {
  if (value === null || value === undefined) return;
  const kind = narrowed(shape, value);
  if (kind.map !== undefined && isObject(value)) checkMap(value, kind.map, path, refuse);
  else if (kind.list !== undefined && Array.isArray(value)) checkList(value, kind.list, path, refuse);
  else if (kind.scalar) checkScalar(value, kind, path, refuse);
  else refuse(path, `expected ${kind.map === undefined ? "list" : "map"}, got &{${showGo(value)}}`);
}

function checkScalar(value: unknown, { type }: Shape, path: Path, refuse: Refuse): void {
  if (type === undefined) return;
  if (type === "numeric") {
    if (typeof value !== "number") refuse(path, `expected numeric (int or float), got ${goType(value)}`);
  } else if (typeof value !== type) {
    const got =
      type === "string" ? `&value.valueUnstructured{Value:${goSyntax(value)}}` : `&{${showGo(value)}}`;
    refuse(path, `expected ${type}, got ${got}`);
  }
}

/** A value as Go spells it in its own source (`%#v`). */
function goSyntax(value: unknown): string {
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(", ")}}`;
  if (!isObject(value)) return value === null ? "interface {}(nil)" : JSON.stringify(value);
  const fields = Object.keys(value).sort();
  const shown = fields.map((name) => `${JSON.stringify(name)}:${goSyntax(fieldOf(value, name))}`);
  return `map[string]interface {}{${shown.join(", ")}}`;
}

function checkMap(object: JsonObject, shape: MapShape, path: Path, refuse: Refuse): void {
  for (const name of Object.keys(object)) {
    const at = [...path, `f:${name}`];
    const field = shape.field(name) ?? shape.element;
    if (field === undefined) refuse(at, "field not declared in schema");
    else check(fieldOf(object, name), field, at, refuse);
  }
}

function checkList(items: readonly unknown[], list: ListShape, path: Path, refuse: Refuse): void {
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    const step = list.atomic ? undefined : itemStep(item, list);
    const missing = list.keys.find(
      (key) =>
        !list.atomic && isObject(item) && fieldOf(item, key) === undefined && !list.keyDefaults.has(key),
    );
    if (missing !== undefined && step === undefined) {
      refuse(
        path,
        `element ${index}: associative list with keys has an element that omits key field ${JSON.stringify(missing)} (and doesn't have default value)`,
      );
      continue;
    }
    if (step !== undefined) {
      if (seen.has(step)) refuse(path, `duplicate entries for key ${showPath([step])}`);
      seen.add(step);
    }
    check(item, list.element, step === undefined ? path : [...path, step], refuse);
  }
}

function goType(value: unknown): string {
  if (typeof value === "boolean") return "bool";
  if (Array.isArray(value)) return "[]interface {}";
  return isObject(value) ? "map[string]interface {}" : typeof value;
}

function showGo(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(showGo).join(" ")}]`;
  if (!isObject(value)) return String(value);
  const names = Object.keys(value).sort();
  return `map[${names.map((name) => `${name}:${showGo(value[name])}`).join(" ")}]`;
}
