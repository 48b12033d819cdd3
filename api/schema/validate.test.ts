import { expect, test } from "vitest";
import { fieldPath, steps } from "./pointer.ts";
import type { Schema } from "./schema.ts";
import { suggest } from "./suggest.ts";
import { validateSchema } from "./validate.ts";

test.for<[Schema, unknown, string[]]>([
  [{ type: "integer" }, 1.5, ["is `1.5`, must be a whole number"]],
  [{ type: "number" }, Number.NaN, ["is `NaN`, must be a number"]],
  [{ type: "string", nullable: true }, null, []],
  [{ type: "string" }, null, ["is `null`, must be a string"]],
  [{ "x-kubernetes-int-or-string": true }, "http", []],
  [{ "x-kubernetes-int-or-string": true }, true, ["is `true`, must be a whole number or a string"]],
  [{ "x-kubernetes-preserve-unknown-fields": true }, { any: ["thing"] }, []],
  [{ type: "string", minLength: 1 }, "", ["is empty, must have at least 1 characters"]],
  [{ type: "string", maxLength: 2 }, "abc", ["is `abc`, must have at most 2 characters"]],
  [{ type: "string", pattern: "^a+$" }, "b", ["is `b`, must match ^a+$"]],
  [{ type: "array", maxItems: 1, items: { type: "string" } }, ["a", "b"], ["has 2 items, may have 1"]],
  [
    { type: "object", minProperties: 1, additionalProperties: { type: "string" } },
    {},
    ["must have at least 1 entry"],
  ],
  [{ type: "object", anyOf: [{ required: ["a"] }, { required: ["b"] }] }, {}, ["needs one of `a`, `b`"]],
  [{ type: "object", oneOf: [{ required: ["a"] }, { required: ["b"] }] }, {}, ["needs one of `a`, `b`"]],
  [
    {
      type: "object",
      oneOf: [
        { not: { anyOf: [{ required: ["a"] }, { required: ["b"] }] } },
        { required: ["a"] },
        { required: ["b"] },
      ],
    },
    {},
    [],
  ],
  [{ type: "object", required: ["toString"] }, {}, ["is required"]],
])("%j judges %j", ([schema, value, messages]) => {
  expect(validateSchema(schema, value).map(({ message }) => message)).toEqual(messages);
});

test("pointers are escaped as RFC 6901 says and printed as Kubernetes does", () => {
  const [error] = validateSchema(
    { type: "object", additionalProperties: { type: "array", items: { type: "string" } } },
    { "a/b~c": [1] },
  );
  expect(error?.field).toBe("/a~1b~0c/0");
  expect(steps("/a~1b~0c/0")).toEqual(["a/b~c", "0"]);
  expect(fieldPath("/spec/http/0/headers/a~1b")).toBe('spec.http[0].headers["a/b"]');
});

test.for([
  ["stepWieght", ["stepWeight", "stepWeights"], "did you mean `stepWeight`?"],
  ["Interval", ["interval"], "did you mean `interval`?"],
  ["hots", ["hosts", "http"], "did you mean `hosts`?"],
  ["quantile", ["a", "b"], "allowed are `a`, `b`"],
  ["x", [], "none is allowed here"],
] as const)("%s among %j: %s", ([found, allowed, words]) => {
  expect(suggest(found, allowed)).toBe(words);
});
