import { fieldOf, isObject, type JsonObject, setField } from "../json.ts";

/** RFC 7396: objects merge, null removes, anything else replaces. Does not change its arguments. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const merged: JsonObject = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else setField(merged, name, mergePatch(fieldOf(merged, name), value));
  }
  return merged;
}
