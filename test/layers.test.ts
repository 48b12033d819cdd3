import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..");

/** Which room may import which: the table of docs/architecture.md. */
const layers: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  envoy: [],
  api: ["lib"],
  kube: ["lib", "api"],
  policy: ["lib", "api", "envoy"],
  analysis: ["lib", "api", "kube"],
  controller: ["lib", "api", "kube", "analysis"],
  mesh: ["lib", "api", "kube", "policy", "envoy"],
  webhooks: ["lib", "api", "kube", "mesh"],
  local: ["lib", "api", "kube"],
  dashboard: ["lib", "api", "kube", "analysis"],
};

/** Test files and what only they use may cross rooms: a part is tested with the real others. */
const forTests = (file: string): boolean =>
  /\.test\.ts$|(^|\/)(testing|testbed|testdata)(\/|\.ts$)/.test(file);

function importedRooms(file: string): { from: string; room: string }[] {
  const source = readFileSync(join(root, file), "utf8");
  const specifiers = [
    ...source.matchAll(/^(?:import|export)\b[^;"]*?"(\.{1,2}\/[^"]+)"|\bimport\("(\.{1,2}\/[^"]+)"\)/gm),
  ].map((match) => match[1] ?? match[2] ?? "");
  return specifiers.map((from) => ({
    from,
    room: relative(root, join(root, dirname(file), from)).split("/")[0] ?? "",
  }));
}

const filesOf = (room: string): string[] =>
  globSync(`${room}/**/*.ts`, { cwd: root }).filter(
    (file) => !forTests(file) && !file.includes("/generated/"),
  );

describe.each(Object.entries(layers))("%s", (room, allowed) => {
  test(`imports only ${allowed.join(", ") || "itself"}`, () => {
    const wrong = filesOf(room).flatMap((file) =>
      importedRooms(file)
        .filter((imported) => imported.room !== room && !allowed.includes(imported.room))
        .map(({ from }) => `${file} imports ${from}`),
    );
    expect(wrong).toEqual([]);
  });
});

test("every room of the table has code, or is named as still to come", () => {
  const empty = Object.keys(layers).filter((room) => filesOf(room).length === 0);
  expect(empty).toEqual(["dashboard"]);
});

test("the table of docs/architecture.md says the same", () => {
  const text = readFileSync(join(root, "docs/architecture.md"), "utf8");
  for (const [room, allowed] of Object.entries(layers)) {
    const row = text.split("\n").find((line) => line.startsWith(`| \`${room}/\``));
    expect(row?.split("|")[3]?.trim()).toBe(allowed.join(" "));
  }
});

test("no hand-written file is longer than 500 lines, and half of them stay under 120", () => {
  const files = [...Object.keys(layers), "cli", "bench"].flatMap(filesOf);
  const lengths = files
    .map((file) => readFileSync(join(root, file), "utf8").split("\n").length)
    .sort((a, b) => a - b);
  expect(lengths.at(-1)).toBeLessThanOrEqual(500);
  expect(lengths[Math.floor(lengths.length / 2)]).toBeLessThanOrEqual(120);
});
