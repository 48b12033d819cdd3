/**
 * Sets of fields, as server-side apply keeps them per manager.
 *
 * A path's steps are spelt as in FieldsV1: `f:<name>` for fields, `k:{…}` for items of keyed lists, `v:<json>` for
 * items of sets. A set is a tree, because every operation on it is one of whole subtrees.
 *
 * @see https://github.com/kubernetes-sigs/structured-merge-diff (fieldpath.Set)
 */
import { fieldOf, isObject, type JsonObject, setField } from "../json.ts";
import type { Shape } from "./shape.ts";

export interface FieldSet {
  readonly members: Set<string>;
  readonly children: Map<string, FieldSet>;
}

export type Path = readonly string[];

export function emptySet(): FieldSet {
  return { members: new Set(), children: new Map() };
}

/** Adds a path; the empty path, which is the whole object, is never owned. */
export function insert(set: FieldSet, path: Path): void {
  let at = set;
  for (let index = 0; index < path.length; index++) {
    const step = path[index] ?? "";
    if (index === path.length - 1) at.members.add(step);
    else {
      let next = at.children.get(step);
      if (next === undefined) {
        next = emptySet();
        at.children.set(step, next);
      }
      at = next;
    }
  }
}

export function isEmptySet({ members, children }: FieldSet): boolean {
  if (members.size > 0) return false;
  for (const child of children.values()) if (!isEmptySet(child)) return false;
  return true;
}

export function union(left: FieldSet, right: FieldSet): FieldSet {
  const children = new Map(left.children);
  for (const [step, child] of right.children) {
    const known = children.get(step);
    children.set(step, known === undefined ? child : union(known, child));
  }
  return { members: left.members.union(right.members), children };
}

export function intersection(left: FieldSet, right: FieldSet): FieldSet {
  const children = new Map<string, FieldSet>();
  for (const [step, child] of left.children) {
    const other = right.children.get(step);
    if (other === undefined) continue;
    const both = intersection(child, other);
    if (!isEmptySet(both)) children.set(step, both);
  }
  return { members: left.members.intersection(right.members), children };
}

/** What is in `left` and not in `right`; a field in `right` takes none of its children away. */
export function difference(left: FieldSet, right: FieldSet): FieldSet {
  return subtract(left, right, false);
}

/** As {@link difference}, but a field in `right` takes all of its children away. */
export function differenceWithChildren(left: FieldSet, right: FieldSet): FieldSet {
  return subtract(left, right, true);
}

function subtract(left: FieldSet, right: FieldSet, deep: boolean): FieldSet {
  const children = new Map<string, FieldSet>();
  for (const [step, child] of left.children) {
    if (deep && right.members.has(step)) continue;
    const other = right.children.get(step);
    const rest = other === undefined ? child : subtract(child, other, deep);
    if (other === undefined || !isEmptySet(rest)) children.set(step, rest);
  }
  return { members: left.members.difference(right.members), children };
}

export function has(set: FieldSet, path: Path): boolean {
  let at: FieldSet | undefined = set;
  for (const step of path.slice(0, -1)) at = at?.children.get(step);
  return at?.members.has(path.at(-1) ?? "") ?? false;
}

/** Every path of the set: at each level its members, then what is below, both in the order of their steps. */
export function* paths({ members, children }: FieldSet, prefix: Path = []): Generator<Path> {
  for (const step of [...members].sort()) yield [...prefix, step];
  for (const step of [...children.keys()].sort()) {
    const child = children.get(step);
    if (child !== undefined) yield* paths(child, [...prefix, step]);
  }
}

/** The set, with the named fields on the way to its members as members too. */
export function withNamedFields(set: FieldSet, shape: Shape | undefined): FieldSet {
  const members = new Set(set.members);
  const children = new Map<string, FieldSet>();
  for (const [step, child] of set.children) {
    if (step.startsWith("f:") && shape?.map?.field(step.slice(2)) !== undefined) members.add(step);
    children.set(step, withNamedFields(child, stepShape(shape, step)));
  }
  return { members, children };
}

function stepShape(shape: Shape | undefined, step: string): Shape | undefined {
  if (!step.startsWith("f:")) return shape?.list?.element;
  return shape?.map?.field(step.slice(2)) ?? shape?.map?.element;
}

/** Reads FieldsV1; what is no set of fields reads as empty. */
export function readFieldsV1(value: unknown): FieldSet {
  const set = emptySet();
  if (!isObject(value)) return set;
  for (const step of Object.keys(value)) {
    if (step === ".") continue;
    const inner = fieldOf(value, step);
    if (!isObject(inner)) continue;
    const names = Object.keys(inner);
    if (names.length === 0 || Object.hasOwn(inner, ".")) set.members.add(step);
    if (names.some((name) => name !== ".")) set.children.set(step, readFieldsV1(inner));
  }
  return set;
}

/** Writes FieldsV1, in the order of the steps. */
export function writeFieldsV1({ members, children }: FieldSet): JsonObject {
  const written: JsonObject = {};
  for (const step of [...members.union(new Set(children.keys()))].sort()) {
    const child = children.get(step);
    const inner = child === undefined ? {} : writeFieldsV1(child);
    if (child !== undefined && !members.has(step) && Object.keys(inner).length === 0) continue;
    setField(written, step, child !== undefined && members.has(step) ? { ".": {}, ...inner } : inner);
  }
  return written;
}

/** A path as Kubernetes' messages show it: `.spec.ports[port=80,protocol="TCP"].name`. */
export function showPath(path: Path): string {
  return path
    .map((step) => {
      const text = step.slice(2);
      if (step.startsWith("f:")) return `.${text}`;
      if (step.startsWith("v:")) return `[=${text}]`;
      const keys: unknown = JSON.parse(text);
      const pairs = isObject(keys) ? Object.entries(keys) : [];
      return `[${pairs.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(",")}]`;
    })
    .join("");
}
