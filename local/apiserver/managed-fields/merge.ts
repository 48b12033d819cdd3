import { fieldOf, type JsonObject, setField } from "../json.ts";
import type { ListShape, MapShape, Shape } from "./shape.ts";
import { asList, asMap, isBare, itemStep, narrowed } from "./walk.ts";

/** `live` with `applied` merged over it; undefined where nothing is left. Changes neither. */
export function mergeObjects(live: unknown, applied: unknown, shape: Shape): unknown {
  if (applied === undefined) return mergeKind(live, applied, narrowed(shape, live));
  return mergeKind(live, applied, narrowed(shape, applied));
}

function mergeKind(live: unknown, applied: unknown, shape: Shape): unknown {
  if (shape.map !== undefined) {
    const [left, right] = [asMap(live), asMap(applied)];
    if (!shape.map.atomic && !(isBare(left) && isBare(right)))
      return mergeFields(left ?? {}, right ?? {}, shape.map);
  } else if (!shape.scalar && shape.list !== undefined) {
    const [left, right] = [asList(live), asList(applied)];
    if (!shape.list.atomic && !(isBare(left) && isBare(right)))
      return mergeItems(left ?? [], right ?? [], shape.list);
  }
  return applied === undefined ? live : applied;
}

function mergeFields(live: JsonObject, applied: JsonObject, shape: MapShape): JsonObject | undefined {
  const merged: JsonObject = {};
  let any = false;
  for (const name of new Set([...Object.keys(live), ...Object.keys(applied)])) {
    const [left, right] = [fieldOf(live, name), fieldOf(applied, name)];
    if (left === undefined && right === undefined) continue;
    const field = shape.field(name) ?? shape.element;
    const value = field === undefined ? (right ?? left) : mergeObjects(left, right, field);
    if (value === undefined) continue;
    setField(merged, name, value);
    any = true;
  }
  return any ? merged : undefined;
}

/**
 * Merges keyed lists: items that both have stand in the applied order, the others keep their place among them.
 * The same walk as structured-merge-diff's, so that the order of the result is the same.
 */
function mergeItems(
  live: readonly unknown[],
  applied: readonly unknown[],
  list: ListShape,
): unknown[] | undefined {
  const left = indexed(live, list);
  const right = indexed(applied, list);
  const shared = right.steps.filter((step) => left.items.has(step));
  let nextShared = shared.shift();
  const done = new Set<string>();
  const merged: unknown[] = [];
  const take = (leftItem: unknown, rightItem: unknown) => {
    const item = mergeObjects(leftItem, rightItem, list.element);
    if (item !== undefined) merged.push(item);
  };
  let l = 0;
  let r = 0;
  while (l < left.steps.length || r < right.steps.length) {
    const leftStep = left.steps[l];
    const rightStep = right.steps[r];
    if (leftStep !== undefined && rightStep !== undefined) {
      if (leftStep === rightStep) {
        done.add(leftStep);
        take(left.items.get(leftStep), right.items.get(leftStep));
        l++;
        r++;
        nextShared = shared.shift();
        continue;
      }
      if (right.items.has(leftStep) && nextShared !== undefined && nextShared !== leftStep) {
        l++;
        continue;
      }
    }
    if (leftStep !== undefined) {
      if (!right.items.has(leftStep)) {
        take(left.list[l], undefined);
        l++;
        continue;
      }
      if (done.has(leftStep)) l++;
    }
    if (rightStep !== undefined) {
      done.add(rightStep);
      take(left.items.get(rightStep), right.items.get(rightStep));
      r++;
      if (nextShared === rightStep) nextShared = shared.shift();
    }
  }
  return merged.length === 0 ? undefined : merged;
}

interface Indexed {
  readonly steps: readonly string[];
  readonly list: readonly unknown[];
  readonly items: ReadonlyMap<string, unknown>;
}

function indexed(list: readonly unknown[], shape: ListShape): Indexed {
  const steps: string[] = [];
  const kept: unknown[] = [];
  const items = new Map<string, unknown>();
  for (const item of list) {
    const step = itemStep(item, shape);
    if (step === undefined) continue;
    // Doubled items (of the live object: a configuration has none) are not merged with: they stay as they are.
    items.set(step, items.has(step) ? undefined : item);
    steps.push(step);
    kept.push(item);
  }
  return { steps, list: kept, items };
}
