import { expect, test } from "vitest";
import { createStringPool, shareEqual } from "./share.ts";

test("what is equal before and after is the same object", () => {
  const before = {
    spec: { template: { containers: [{ name: "app", image: "app:1" }] } },
    status: { ready: 1 },
  };
  const after = shareEqual(before, structuredClone({ ...before, status: { ready: 2 } }), createStringPool());
  expect(after).toEqual({ ...before, status: { ready: 2 } });
  expect(after).not.toBe(before);
  expect(after.spec).toBe(before.spec);
});

test("an equal object is the one before", () => {
  const before = { a: [1, { b: null }], c: "text" };
  expect(shareEqual(before, structuredClone(before), createStringPool())).toBe(before);
});

test("what has more, less, other order in a list or another type is not equal", () => {
  const cases: readonly (readonly [unknown, unknown])[] = [
    [{ a: 1 }, { a: 1, b: 2 }],
    [{ a: 1, b: 2 }, { a: 1 }],
    [{ a: 1 }, { b: 1 }],
    [
      [1, 2],
      [2, 1],
    ],
    [[1], [1, 2]],
    [{ 0: "x" }, ["x"]],
    [{ a: "1" }, { a: 1 }],
    [{ a: {} }, { a: null }],
    [{}, JSON.parse('{"__proto__":{"a":1}}')],
  ];
  for (const [before, after] of cases) {
    const expected = structuredClone(after);
    const result = shareEqual(before, after, createStringPool());
    expect(result).not.toBe(before);
    expect(result).toEqual(expected);
    expect(Object.keys(Object(result))).toEqual(Object.keys(Object(expected)));
  }
});

test("the pool changes no value, at any depth", () => {
  const pool = createStringPool(2);
  const text = JSON.stringify({
    kind: "VirtualService of a shop",
    list: ["the first of the words", { name: "the second of the words" }, null, 1],
    theThirdOfTheWords: "the first of the words",
  });
  for (let round = 0; round < 3; round++) {
    const value: unknown = JSON.parse(text);
    pool.share(value);
    expect(JSON.stringify(value)).toBe(text);
  }
});
