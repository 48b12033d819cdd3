/** docs/reliability.md names a test for each fault: each must exist. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

const rows = read("docs/reliability.md")
  .split("\n")
  .filter((line) => /^\| (?!fault |-)/.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim())[3] ?? "");

test("there are rows", () => expect(rows.length).toBeGreaterThan(30));

test.for(rows)("%s", (proof) => {
  const [, path = "", title = ""] = /^`([^`]+\.test\.ts)`: (.+)$/.exec(proof) ?? [];
  expect(path).not.toBe("");
  const source = read(path);
  expect([`"${title}"`, `\`${title}\``].some((quoted) => source.includes(quoted))).toBe(true);
});

test("each test of faults stands in a row", () => {
  const titles = [...read("test/e2e/faults.test.ts").matchAll(/^test\("([^"]+)"/gm)].map(
    ([, title]) => title,
  );
  expect(titles.filter((title) => !rows.some((row) => row.endsWith(`: ${title}`)))).toEqual([]);
});
