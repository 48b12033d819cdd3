import { expect, test } from "vitest";
import { parseLabelSelector, printLabelSelector, readLabelSelector } from "./labels.ts";

test.for<[string, Record<string, string>, boolean]>([
  ["a=b", { a: "b" }, true],
  ["a==b,c!=d", { a: "b", c: "d" }, false],
  ["c!=d", {}, true],
  ["a in (x, y)", { a: "y" }, true],
  ["a notin (x,y)", {}, true],
  ["a notin (x,y),b", { b: "" }, true],
  ["!a", { a: "" }, false],
  ["a", { a: "" }, true],
  ["a.b/c in (v1),d>3", { "a.b/c": "v1", d: "4" }, true],
  ["constructor", {}, false],
])("%s on %j: %s", ([selector, labels, expected]) => {
  expect(parseLabelSelector(selector)(labels)).toBe(expected);
});

test("what cannot be read is refused", () => {
  expect(() => parseLabelSelector("a in b")).toThrow("unable to parse requirement");
});

test("a selector object reads and prints", () => {
  const selector = {
    matchLabels: { app: "web" },
    matchExpressions: [
      { key: "tier", operator: "In", values: ["a", "b"] },
      { key: "x", operator: "DoesNotExist" },
    ],
  };
  expect(printLabelSelector(selector)).toBe("app=web,tier in (a,b),!x");
  expect(readLabelSelector(selector)({ app: "web", tier: "b" })).toBe(true);
  expect(readLabelSelector(selector)({ app: "web", tier: "b", x: "1" })).toBe(false);
  expect(readLabelSelector({})({ any: "thing" })).toBe(true);
});
