import { expect, test } from "vitest";
import { createNameSets, noNames } from "./name-sets.ts";

const many = Array.from({ length: 40 }, (_, index) => `outbound|80||s-${index}.default.svc.cluster.local`);

test("streams that ask for the same names, in whatever order, hold one set", () => {
  const sets = createNameSets();
  const first = sets.step(noNames, many, []);
  expect(sets.step(noNames, many.toReversed(), [])).toBe(first);
  expect(first).toEqual(new Set(many));
});

test("the same step from the same set leads to one set, and changes nothing for who stays", () => {
  const sets = createNameSets();
  const first = sets.step(noNames, many, []);
  const next = sets.step(first, ["new"], many.slice(0, 1));
  expect(sets.step(first, ["new"], many.slice(0, 1))).toBe(next);
  expect(next).toEqual(new Set([...many.slice(1), "new"]));
  expect(first).toEqual(new Set(many));
  expect(sets.step(next, [], [])).toBe(next);
});

test("a name that is asked for and taken back at once is asked for", () => {
  expect(createNameSets().step(new Set(["a"]), ["a"], ["a"])).toEqual(new Set(["a"]));
});
