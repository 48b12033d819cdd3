import fc from "fast-check";
import jsonPatch from "fast-json-patch";
import { expect, test } from "vitest";
import { annotationOperations, pointer, testVersion, weightOperations } from "./json-patch.ts";

const object = (annotations?: Record<string, string>) => ({
  apiVersion: "v1",
  kind: "VirtualService",
  metadata: { name: "shop", resourceVersion: "7", ...(annotations && { annotations }) },
  spec: {
    http: [
      {
        route: [
          { destination: { host: "shop-primary" }, weight: 100 },
          { destination: { host: "shop-canary" } },
        ],
      },
    ],
  },
});

function apply<T extends object>(document: T, operations: readonly object[]): T {
  return jsonPatch.applyPatch(
    structuredClone(document),
    structuredClone(operations) as Parameters<typeof jsonPatch.applyPatch>[1],
    true,
  ).newDocument as T;
}

test("pointers reach any key", () => {
  fc.assert(
    // The library that reads the pointers here refuses this one key.
    fc.property(
      fc.string({ minLength: 1 }).filter((key) => key !== "__proto__"),
      (key) => {
        const document = { [key]: { inner: 1 } };
        expect(jsonPatch.getValueByPointer(document, pointer(key, "inner"))).toBe(1);
      },
    ),
  );
});

test("annotations are set and removed, whether there were any or not", () => {
  const changes = { "fairlead.dev/run": "r1", "a~b/c": "x", gone: undefined };
  expect(apply(object(), annotationOperations(object(), changes)).metadata).toMatchObject({
    annotations: { "fairlead.dev/run": "r1", "a~b/c": "x" },
  });
  const before = object({ gone: "1", kept: "2" });
  expect(apply(before, annotationOperations(before, changes)).metadata.annotations).toEqual({
    kept: "2",
    "fairlead.dev/run": "r1",
    "a~b/c": "x",
  });
});

const weights = (canaryHost: string) =>
  weightOperations([
    { path: "/spec/http/0/route/0", nameField: "/destination/host", name: "shop-primary", weight: 90 },
    { path: "/spec/http/0/route/1", nameField: "/destination/host", name: canaryHost, weight: 10 },
  ]);

test("weights change where the destinations are those expected, an absent weight too", () => {
  const patched = apply(object(), [testVersion(object()), ...weights("shop-canary")]);
  expect(patched.spec.http[0]?.route.map(({ weight }) => weight)).toEqual([90, 10]);
});

test("a route that somebody changed is left alone", () => {
  expect(() => apply(object(), weights("other"))).toThrow();
  expect(() =>
    apply({ ...object(), metadata: { name: "shop", resourceVersion: "8" } }, [testVersion(object())]),
  ).toThrow();
});
