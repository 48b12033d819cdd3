/** JSON values as the API server handles them. Keys come from users, so nothing here reads or writes through a prototype. */

export type JsonObject = { [field: string]: unknown };

/** True for a JSON object (not an array, not null). */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The own field `name` of `value`; undefined where `value` is no object or lacks it. */
export function fieldOf(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

/** Follows own fields: `at(pod, "spec", "nodeName")`. Array elements are reached by their index. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let current = value;
  for (const name of path) {
    current = Array.isArray(current) ? current[Number(name)] : fieldOf(current, name);
    if (current === undefined) return undefined;
  }
  return current;
}

/** The string at `path`, or undefined where there is none. */
export function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const found = at(value, ...path);
  return typeof found === "string" ? found : undefined;
}

/** The number at `path`, or undefined where there is none. */
export function numberAt(value: unknown, ...path: readonly string[]): number | undefined {
  const found = at(value, ...path);
  return typeof found === "number" ? found : undefined;
}

/** The array at `path`; empty where there is none. */
export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
}

/** The object at `path`; empty where there is none. */
export function objectAt(value: unknown, ...path: readonly string[]): JsonObject {
  const found = at(value, ...path);
  return isObject(found) ? found : {};
}

/** Sets an own field, also one called `__proto__`. */
export function setField(target: JsonObject, name: string, value: unknown): void {
  if (name === "__proto__") {
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
  } else target[name] = value;
}

/** Sets `name` unless it is there already: how Kubernetes' defaults work. */
export function setDefault(target: JsonObject, name: string, value: unknown): void {
  if (fieldOf(target, name) === undefined) target[name] = value;
}

/** The object under `name`, made empty where it is missing or not an object. */
export function ensureObject(target: JsonObject, name: string): JsonObject {
  const found = fieldOf(target, name);
  if (isObject(found)) return found;
  const made: JsonObject = {};
  setField(target, name, made);
  return made;
}

/** A deep copy of a JSON value; fields that are undefined are left out. */
export function cloneJson<T>(value: T): T;
export function cloneJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => cloneJson<unknown>(item));
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const name of Object.keys(value)) {
    if (value[name] !== undefined) setField(copy, name, cloneJson(value[name]));
  }
  return copy;
}

/** Equal as JSON: order of fields does not count, an undefined field is an absent one. */
export function equalJson(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (Array.isArray(left)) {
    return (
      Array.isArray(right) &&
      left.length === right.length &&
      left.every((item, index) => equalJson(item, right[index]))
    );
  }
  if (!isObject(left) || !isObject(right)) return false;
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  for (const name of names) if (!equalJson(fieldOf(left, name), fieldOf(right, name))) return false;
  return true;
}

/** True where `value` is nested deeper than `levels`. Looks no deeper than that, so it never overflows the stack. */
export function deeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  for (const item of Object.values(value)) if (deeperThan(item, levels - 1)) return true;
  return false;
}
