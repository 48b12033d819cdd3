import fc from "fast-check";
import { expect, test } from "vitest";
import { equalJson, isObject, type JsonObject } from "../json.ts";
import { rootType } from "../kinds/types.ts";
import { mergePatch } from "./merge.ts";
import { strategicMerge as merge } from "./strategic.ts";

/** Merges as for a kind of the core group. */
function strategicMerge(target: JsonObject, patch: JsonObject, kind = "Pod"): JsonObject {
  const type = rootType("", "v1", kind);
  if (type === undefined) throw new Error(`no type of ${kind}`);
  return merge(target, patch, type);
}

const object = fc.dictionary(fc.string({ maxLength: 3 }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 });

/** The merge patch that turns `from` into `to`. */
function difference(from: JsonObject, to: JsonObject): JsonObject {
  const entries = [...new Set([...Object.keys(from), ...Object.keys(to)])].flatMap(
    (name): [string, unknown][] => {
      if (!Object.hasOwn(to, name)) return [[name, null]];
      const [before, after] = [Object.hasOwn(from, name) ? from[name] : undefined, to[name]];
      return [[name, isObject(before) && isObject(after) ? difference(before, after) : after]];
    },
  );
  return Object.fromEntries(entries);
}

function hasNull(value: unknown): boolean {
  return value === null || (isObject(value) && Object.values(value).some(hasNull));
}

test("the merge patch between two objects leads from one to the other, and changes neither", () => {
  fc.assert(
    fc.property(object, object, (from, to) => {
      fc.pre(!hasNull(to));
      const copy = structuredClone(from);
      expect(equalJson(mergePatch(from, difference(from, to)), to)).toBe(true);
      expect(equalJson(from, copy)).toBe(true);
    }),
  );
});

test("a strategic patch is idempotent", () => {
  const containers = fc.uniqueArray(
    fc.record({
      name: fc.constantFrom("a", "b", "c"),
      image: fc.string(),
      env: fc.uniqueArray(fc.record({ name: fc.constantFrom("X", "Y"), value: fc.string() }), {
        selector: ({ name }) => name,
      }),
    }),
    { selector: ({ name }) => name },
  );
  fc.assert(
    fc.property(containers, containers, (before, patch) => {
      const once = strategicMerge({ spec: { containers: before } }, { spec: { containers: patch } });
      expect(equalJson(strategicMerge(once, { spec: { containers: patch } }), once)).toBe(true);
    }),
  );
});

test.for<[string, JsonObject, JsonObject, JsonObject]>([
  [
    "a list without a key is replaced",
    { spec: { args: ["a", "b"] } },
    { spec: { args: ["c"] } },
    { spec: { args: ["c"] } },
  ],
  [
    "$patch: replace replaces a keyed list",
    { spec: { containers: [{ name: "a" }] } },
    { spec: { containers: [{ name: "b" }, { $patch: "replace" }] } },
    { spec: { containers: [{ name: "b" }] } },
  ],
  [
    "$patch: delete deletes an item",
    { spec: { containers: [{ name: "a" }, { name: "b" }] } },
    { spec: { containers: [{ name: "a", $patch: "delete" }] } },
    { spec: { containers: [{ name: "b" }] } },
  ],
  [
    "$setElementOrder orders",
    { spec: { containers: [{ name: "a" }, { name: "b" }] } },
    {
      spec: {
        "$setElementOrder/containers": [{ name: "b" }, { name: "a" }],
        containers: [{ name: "b", image: "i" }],
      },
    },
    { spec: { containers: [{ name: "b", image: "i" }, { name: "a" }] } },
  ],
  [
    "$deleteFromPrimitiveList takes from a set",
    { metadata: { finalizers: ["a", "b"] } },
    { metadata: { "$deleteFromPrimitiveList/finalizers": ["a"] } },
    { metadata: { finalizers: ["b"] } },
  ],
  [
    "$retainKeys drops the rest",
    { spec: { strategy: { type: "RollingUpdate", rollingUpdate: {} } } },
    { spec: { strategy: { $retainKeys: ["type"], type: "Recreate" } } },
    { spec: { strategy: { type: "Recreate" } } },
  ],
])("%s", ([, before, patch, after]) => {
  expect(strategicMerge(before, patch)).toEqual(after);
});

test("each kind's lists merge by their own keys", () => {
  const before = { spec: { ports: [{ port: 80, name: "http" }] } };
  const patch = { spec: { ports: [{ port: 80, targetPort: 8080 }, { port: 443 }] } };
  expect(strategicMerge(before, patch, "Service")).toEqual({
    spec: { ports: [{ port: 80, name: "http", targetPort: 8080 }, { port: 443 }] },
  });
});

test("an item without its merge key is refused", () => {
  expect(() =>
    strategicMerge({ spec: { containers: [] } }, { spec: { containers: [{ image: "i" }] } }),
  ).toThrow("does not contain declared merge key: name");
});
