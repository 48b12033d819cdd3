/**
 * Strategic merge patch: lists of Kubernetes' own kinds merge by their keys.
 *
 * @see https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */
import { equalJson, fieldOf, isObject, type JsonObject, setField } from "../json.ts";
import { badRequest } from "../status.ts";
import { listMerge } from "./merge-keys.ts";

const retainKeys = "$retainKeys";
const deleteFromPrimitiveList = "$deleteFromPrimitiveList/";
const setElementOrder = "$setElementOrder/";

/** `target` with `patch` merged in. Does not change its arguments. Throws 400 for directives that make no sense. */
export function strategicMerge(target: unknown, patch: JsonObject): unknown {
  return mergeObject(isObject(target) ? target : {}, patch, "");
}

function mergeObject(target: JsonObject, patch: JsonObject, parent: string): JsonObject {
  if (patch.$patch === "replace") return withoutDirectives(patch);
  if (patch.$patch === "delete") return {};
  if (patch.$patch !== undefined && patch.$patch !== "merge")
    throw badRequest(`unknown patch type: ${JSON.stringify(patch.$patch)}`);
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
      const deleted = value.$patch === "delete";
      if (deleted) delete merged[name];
      else setField(merged, name, mergeObject(isObject(before) ? before : {}, value, name));
    } else if (Array.isArray(value)) setField(merged, name, mergeList(before, value, parent, name));
    else setField(merged, name, value);
  }
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith(setElementOrder)) reorder(merged, parent, name.slice(setElementOrder.length), value);
    else if (name === retainKeys && Array.isArray(value)) {
      for (const field of Object.keys(merged)) if (!value.includes(field)) delete merged[field];
    }
  }
  return merged;
}

function mergeList(before: unknown, patch: readonly unknown[], parent: string, name: string): unknown[] {
  const how = listMerge(parent, name);
  if (how === undefined) return patch.map(plain);
  if (patch.some((item) => isObject(item) && item.$patch === "replace")) {
    return patch
      .filter((item) => !(isObject(item) && item.$patch === "replace" && Object.keys(item).length === 1))
      .map(plain);
  }
  const merged: unknown[] = Array.isArray(before) ? [...before] : [];
  for (const item of patch) {
    if (how === "set") {
      if (!merged.some((known) => equalJson(known, item))) merged.push(item);
    } else mergeItem(merged, item, how.key, name);
  }
  return merged;
}

function mergeItem(merged: unknown[], item: unknown, key: string, name: string): void {
  const id = fieldOf(item, key);
  if (!isObject(item) || id === undefined) {
    throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
  }
  const index = merged.findIndex((known) => equalJson(fieldOf(known, key), id));
  if (item.$patch === "delete") {
    for (let at = merged.length - 1; at >= 0; at--)
      if (equalJson(fieldOf(merged[at], key), id)) merged.splice(at, 1);
  } else if (index < 0) merged.push(plain(item));
  else {
    const known = merged[index];
    merged[index] = mergeObject(isObject(known) ? known : {}, item, name);
  }
}

function plain(value: unknown): unknown {
  return isObject(value) ? mergeObject({}, value, "") : value;
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
function reorder(merged: JsonObject, parent: string, name: string, order: unknown): void {
  const list = fieldOf(merged, name);
  if (!Array.isArray(list) || !Array.isArray(order)) return;
  const how = listMerge(parent, name);
  const idOf = (item: unknown) => (how === undefined || how === "set" ? item : fieldOf(item, how.key));
  const rank = (item: unknown) => order.findIndex((wanted) => equalJson(idOf(wanted), idOf(item)));
  let last = -1;
  const ranked = list.map((item, index) => {
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
