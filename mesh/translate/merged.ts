import { SharedMap } from "../model/shared-map.ts";

/**
 * Makes the function that lays one map over another, in proportion to what changed since the call before.
 */
export function createMerged<Value>() {
  let before: readonly [SharedMap<Value>, SharedMap<Value>] = [SharedMap.of(), SharedMap.of()];
  let merged = SharedMap.of<Value>();
  return (under: SharedMap<Value>, over: SharedMap<Value>): SharedMap<Value> => {
    const keys = new Set([...under.changedSince(before[0]), ...over.changedSince(before[1])]);
    merged = merged.with(Array.from(keys, (key) => [key, over.get(key) ?? under.get(key)] as const));
    before = [under, over];
    return merged;
  };
}
