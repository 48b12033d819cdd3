import { expect, test } from "vitest";
import { ageOf, shortDuration } from "./duration.ts";
import { formatTable } from "./table.ts";

test("columns line up, whatever the width of the characters and the colours", () => {
  const table = formatTable(
    ["NAME", "PHASE", "X"],
    [
      ["shop", "\u001b[31mFailed\u001b[39m", "1"],
      ["größe", "Succeeded", ""],
    ],
  );
  expect(table.split("\n")).toEqual([
    "NAME    PHASE       X",
    "shop    \u001b[31mFailed\u001b[39m      1",
    "größe   Succeeded",
  ]);
});

test.for([
  [0, "0s"],
  [119_000, "119s"],
  [200_000, "3m20s"],
  [540_000, "9m"],
  [3_600_000 * 3, "3h"],
  [3_600_000 * 24 * 5, "5d"],
] as const)("%i ms is %s", ([milliseconds, text]) => {
  expect(shortDuration(milliseconds)).toBe(text);
});

test("no time is no age, and a clock that runs ahead is no age below zero", () => {
  expect(ageOf(undefined, 0)).toBe("-");
  expect(ageOf("no time", 0)).toBe("-");
  expect(ageOf("2026-01-01T00:00:10Z", Date.parse("2026-01-01T00:00:00Z"))).toBe("0s");
});
