/**
 * Strategic merge patch: lists of Kubernetes' own kinds merge by their keys, as the Go types' tags say.
 *
 * @see https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */
import { equalJson, fieldOf, isObject, type JsonObject, setField } from "../json.ts";
import type { GoField, GoStruct, GoType } from "../kinds/types.ts";
import { unforeseen } from "../status.ts";

const retainKeys = "$retainKeys";
const deleteFromPrimitiveList = "$deleteFromPrimitiveList/";
const setElementOrder = "$setElementOrder/";

/** `target` with `patch` merged in. Does not change its arguments. Throws 500, as Kubernetes does, for directives that make no sense. */
export function strategicMerge(target: unknown, patch: JsonObject, type: GoStruct): JsonObject {
  return mergeObject(isObject(target) ? target : {}, patch, type);
}

/** How a list merges: by a key, as a set, or not at all (undefined). */
type ListMerge = { readonly key: string; readonly item: GoType } | "set" | undefined;

function listMerge(field: GoField | undefined): ListMerge {
  if (field?.type.kind !== "list" || field.patchStrategy?.split(",").includes("merge") !== true)
    return undefined;
  return field.patchKey === undefined ? "set" : { key: field.patchKey, item: field.type.item };
}

const fieldIn = (type: GoType | undefined, name: string): GoField | undefined =>
  type?.kind === "struct" ? type.fields.get(name) : undefined;

const typeIn = (type: GoType | undefined, name: string): GoType | undefined =>
  type?.kind === "map" ? type.value : fieldIn(type, name)?.type;

function mergeObject(target: JsonObject, patch: JsonObject, type: GoType | undefined): JsonObject {
  if (patch.$patch === "replace") return withoutDirectives(patch);
  if (patch.$patch === "delete") return {};
  if (patch.$patch !== undefined && patch.$patch !== "merge")
    throw unforeseen(`unknown patch type: ${showGoMap(patch.$patch)} in map: ${showGoMap(patch)}`);
  const merged: JsonObject = { ...target };
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith("$")) {
      if (name.startsWith(deleteFromPrimitiveList))
        removeFromList(merged, name.slice(deleteFromPrimitiveList.length), value);
      continue;
    }
    const before = fieldOf(merged, name);
    if (value === null) delete merged[name];
    else if (isObject(value)) {
      if (value.$patch === "delete") delete merged[name];
      else setField(merged, name, mergeObject(isObject(before) ? before : {}, value, typeIn(type, name)));
    } else if (Array.isArray(value)) setField(merged, name, mergeList(before, value, fieldIn(type, name)));
    else setField(merged, name, value);
  }
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith(setElementOrder)) {
      const list = name.slice(setElementOrder.length);
      reorder(merged, list, value, listMerge(fieldIn(type, list)));
    } else if (name === retainKeys && Array.isArray(value)) {
      for (const field of Object.keys(merged)) if (!value.includes(field)) delete merged[field];
    }
  }
  return merged;
}

function mergeList(before: unknown, patch: readonly unknown[], field: GoField | undefined): unknown[] {
  const how = listMerge(field);
  const item = field?.type.kind === "list" ? field.type.item : undefined;
  if (how === undefined) return patch.map((value) => plain(value, item));
  if (patch.some((value) => isObject(value) && value.$patch === "replace")) {
    return patch
      .filter((value) => !(isObject(value) && value.$patch === "replace" && Object.keys(value).length === 1))
      .map((value) => plain(value, item));
  }
  const live: unknown[] = Array.isArray(before) ? before : [];
  const merged = [...live];
  for (const value of patch) {
    if (how === "set") {
      if (!merged.some((known) => equalJson(known, value))) merged.push(value);
    } else mergeItem(merged, value, how.key, how.item);
  }
  return inPatchOrder(merged, patch, live, (value) => (how === "set" ? value : fieldOf(value, how.key)));
}

/**
 * The merged items with those of the patch in its order; the others keep their place among them where the live list
 * tells it, and else come after.
 */
function inPatchOrder(
  merged: readonly unknown[],
  patch: readonly unknown[],
  live: readonly unknown[],
  idOf: (item: unknown) => unknown,
): unknown[] {
  const place = (list: readonly unknown[], item: unknown) =>
    list.findIndex((known) => equalJson(idOf(known), idOf(item)));
  const wanted = merged
    .filter((item) => place(patch, item) >= 0)
    .toSorted((left, right) => place(patch, left) - place(patch, right));
  const others = merged.filter((item) => place(patch, item) < 0);
  const ordered: unknown[] = [];
  let next = 0;
  for (const item of wanted) {
    const at = place(live, item);
    while (next < others.length) {
      const other = place(live, others[next]);
      if (at < 0 || other < 0 || other >= at) break;
      ordered.push(others[next++]);
    }
    ordered.push(item);
  }
  return [...ordered, ...others.slice(next)];
}

function mergeItem(merged: unknown[], item: unknown, key: string, type: GoType): void {
  const id = fieldOf(item, key);
  if (!isObject(item) || id === undefined) {
    throw unforeseen(`map: ${showGoMap(item)} does not contain declared merge key: ${key}`);
  }
  const index = merged.findIndex((known) => equalJson(fieldOf(known, key), id));
  if (item.$patch === "delete") {
    for (let at = merged.length - 1; at >= 0; at--)
      if (equalJson(fieldOf(merged[at], key), id)) merged.splice(at, 1);
  } else if (index < 0) merged.push(plain(item, type));
  else {
    const known = merged[index];
    merged[index] = mergeObject(isObject(known) ? known : {}, item, type);
  }
}

/** A map as Go's %v prints it. */
export function showGoMap(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(showGoMap).join(" ")}]`;
  if (Object.is(value, null)) return "<nil>";
  if (!isObject(value)) return String(value);
  const pairs = Object.keys(value).sort();
  return `map[${pairs.map((name) => `${name}:${showGoMap(value[name])}`).join(" ")}]`;
}

function plain(value: unknown, type: GoType | undefined): unknown {
  return isObject(value) ? mergeObject({}, value, type) : value;
}

function withoutDirectives(patch: JsonObject): JsonObject {
  const copy: JsonObject = {};
  for (const [name, value] of Object.entries(patch)) if (!name.startsWith("$")) setField(copy, name, value);
  return copy;
}

function removeFromList(merged: JsonObject, name: string, values: unknown): void {
  const list = fieldOf(merged, name);
  if (Array.isArray(list) && Array.isArray(values)) {
    setField(
      merged,
      name,
      list.filter((item) => !values.some((value) => equalJson(value, item))),
    );
  }
}

/** Orders a merged list as the patch's author had it; items that he does not know stay behind what they followed. */
function reorder(merged: JsonObject, name: string, order: unknown, how: ListMerge): void {
  const list = fieldOf(merged, name);
  if (!Array.isArray(list) || !Array.isArray(order)) return;
  const idOf = (item: unknown) => (how === undefined || how === "set" ? item : fieldOf(item, how.key));
  const rank = (item: unknown) => order.findIndex((wanted) => equalJson(idOf(wanted), idOf(item)));
  let last = -1;
  const ranked = list.map((item: unknown, index) => {
    const own = rank(item);
    // An unknown item takes the rank of the known one before it.
    const at = own < 0 ? last : own;
    last = at;
    return { item, at, known: own >= 0, index };
  });
  ranked.sort(
    (left, right) =>
      left.at - right.at || Number(right.known) - Number(left.known) || left.index - right.index,
  );
  setField(
    merged,
    name,
    ranked.map(({ item }) => item),
  );
}
