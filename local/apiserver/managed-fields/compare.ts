import { equalJson, fieldOf, type JsonObject } from "../json.ts";
import { emptySet, type FieldSet, insert, type Path } from "./field-set.ts";
import type { ListShape, MapShape, Shape } from "./shape.ts";
import { asList, asMap, isBare, itemStep, narrowed, sameKinds } from "./walk.ts";

/** Which fields differ between two objects of one type. */
export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

/** Compares an object before and after a change, field by field as its type owns them. */
export function compareObjects(before: unknown, after: unknown, shape: Shape): Comparison {
  const comparison = { added: emptySet(), modified: emptySet(), removed: emptySet() };
  compare(before, after, shape, [], comparison);
  return comparison;
}

/** `undefined` is absent; null is a value. */
function compare(before: unknown, after: unknown, shape: Shape, path: string[], found: Comparison): void {
  const [left, right] = [narrowed(shape, before), narrowed(shape, after)];
  let leaf: boolean;
  if (after === undefined) leaf = compareKind(before, after, left, path, found);
  else {
    if (before !== undefined && !sameKinds(left, right)) compareKind(before, after, left, path, found);
    leaf = compareKind(before, after, right, path, found);
  }
  if (leaf) return;
  if (before === undefined) insert(found.added, path);
  else if (after === undefined) insert(found.removed, path);
}

/** True where the value was taken as a whole. */
function compareKind(
  before: unknown,
  after: unknown,
  shape: Shape,
  path: string[],
  found: Comparison,
): boolean {
  if (shape.map !== undefined) {
    const [left, right] = [asMap(before), asMap(after)];
    if (!shape.map.atomic && !(isBare(left) && isBare(right))) {
      compareFields(left ?? {}, right ?? {}, shape.map, path, found);
      return false;
    }
  } else if (!shape.scalar && shape.list !== undefined) {
    const [left, right] = [asList(before), asList(after)];
    if (!shape.list.atomic && !(isBare(left) && isBare(right))) {
      compareItems(left ?? [], right ?? [], shape.list, path, found);
      return false;
    }
  }
  compareLeaf(before, after, path, found);
  return true;
}

function compareLeaf(before: unknown, after: unknown, path: Path, found: Comparison): void {
  if (before === undefined) insert(found.added, path);
  else if (after === undefined) insert(found.removed, path);
  else if (!equalJson(before, after)) insert(found.modified, path);
}

function compareFields(
  before: JsonObject,
  after: JsonObject,
  shape: MapShape,
  path: string[],
  found: Comparison,
): void {
  const compareField = (name: string): void => {
    const field = shape.field(name) ?? shape.element;
    if (field === undefined) return;
    path.push(`f:${name}`);
    compare(fieldOf(before, name), fieldOf(after, name), field, path, found);
    path.pop();
  };
  for (const name of Object.keys(before)) if (before[name] !== undefined) compareField(name);
  for (const name of Object.keys(after))
    if (after[name] !== undefined && fieldOf(before, name) === undefined) compareField(name);
}

function compareItems(
  before: readonly unknown[],
  after: readonly unknown[],
  list: ListShape,
  path: string[],
  found: Comparison,
): void {
  const [left, right] = [byStep(before, list), byStep(after, list)];
  for (const step of new Set([...left.keys(), ...right.keys()])) {
    const [was = [], is = []] = [left.get(step), right.get(step)];
    path.push(step);
    if (was.length <= 1 && is.length <= 1) compare(was[0], is[0], list.element, path, found);
    // Items that share one step are taken together, as a whole.
    else if (was.length >= 2 && is.length >= 2) {
      if (!equalJson(was, is)) insert(found.modified, path);
    } else if (was.length >= 2) {
      if (is.length > 0) compare(undefined, is[0], list.element, path, found);
      insert(found.removed, path);
    } else {
      if (was.length > 0) compare(was[0], undefined, list.element, path, found);
      insert(found.added, path);
    }
    path.pop();
  }
}

function byStep(items: readonly unknown[], list: ListShape): Map<string, unknown[]> {
  const steps = new Map<string, unknown[]>();
  for (const item of items) {
    const step = itemStep(item, list);
    if (step === undefined) continue;
    const known = steps.get(step);
    if (known === undefined) steps.set(step, [item]);
    else known.push(item);
  }
  return steps;
}
