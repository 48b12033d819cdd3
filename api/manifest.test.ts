import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readManifests } from "./manifest.ts";

const pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n";

test("documents, comments, empty documents, lists and JSON in one text", () => {
  const text = `# first\n${pod}---\n# nothing\n---\napiVersion: v1\nkind: PodList\nitems:\n- ${pod.trim().replaceAll("\n", "\n  ")}\n---\n{"apiVersion": "v1", "kind": "Pod",\n "metadata": {"name": "b"}}\n`;
  const { objects, problems } = readManifests(text, "all.yaml");
  expect(problems).toEqual([]);
  expect(objects.map(({ object, line }) => [object.metadata.name, line])).toEqual([
    ["a", 2],
    ["a", 12],
    ["b", 17],
  ]);
});

test("a field's line is found, or that of what is around it", () => {
  const [found] = readManifests(
    `${pod}spec:\n  containers:\n  - name: a\n    image: b\n`,
    "pod.yaml",
  ).objects;
  expect(found?.lineOf("/spec/containers/0/image")).toBe(8);
  expect(found?.lineOf("/spec/containers/0/ports/1")).toBe(7);
  expect(found?.lineOf("/nowhere")).toBe(1);
});

test("a broken document is told with its line, the others are read", () => {
  const { objects, problems } = readManifests(
    `${pod}---\na: 1\na: 2\n---\nkind: Pod\n---\n[1\n---\n${pod}`,
    "some.yaml",
  );
  expect(objects).toHaveLength(2);
  expect(problems[0]).toEqual({ file: "some.yaml", line: 7, message: "Map keys must be unique" });
  expect(problems[1]).toEqual({ file: "some.yaml", line: 9, message: "has no `apiVersion`" });
  expect(problems[2]).toMatchObject({ line: 12 });
});

test("scalars are what kubectl takes them for", () => {
  const [found] = readManifests(
    `${pod}a: on\nb: 0644\nc: 12:30:00\nd: 2024-01-01\ne: "on"\nf: 1e3\ng: no\n`,
    "a",
  ).objects;
  expect(found?.object).toMatchObject({
    a: true,
    b: 420,
    c: "12:30:00",
    d: "2024-01-01",
    e: "on",
    f: 1000,
    g: false,
  });
});

const kubectl = spawnSync("kubectl", ["version", "--client"]).status === 0;

test.skipIf(!kubectl)("a real kubectl reads the same manifest the same", () => {
  const scalars = [
    "on",
    "0644",
    "12:30:00",
    "2024-01-01",
    "1e3",
    "y",
    "~",
    "1_000",
    "0x1F",
    "0b11",
    "+12",
    '"on"',
    "09",
    "1.",
    ".inf1",
  ];
  const text = `apiVersion: example.com/v1\nkind: Foo\nmetadata: {name: a, labels: {z: z}}\nbase: &b {x: 1}\nmerged: {<<: *b, y: no}\n${scalars.map((scalar, index) => `f${index}: ${scalar}`).join("\n")}\n`;
  const { stdout } = spawnSync("kubectl", ["label", "--local", "-f", "-", "-o", "json", "x-"], {
    input: text,
    encoding: "utf8",
  });
  expect(readManifests(text, "a").objects[0]?.object).toEqual(JSON.parse(stdout));
});

test("an alias bomb is refused, anchors as people use them are read", () => {
  const bomb = [`a: &a [${Array(9).fill("x").join()}]`];
  for (const [index, letter] of "bcdefghi".split("").entries())
    bomb.push(`${letter}: &${letter} [${Array(9).fill(`*${"abcdefgh"[index]}`).join()}]`);
  expect(readManifests(bomb.join("\n"), "bomb").problems).toMatchObject([
    { message: expect.stringContaining("alias") },
  ]);
  const anchored = `${pod}  labels: &l {app: a}\nspec: {selector: *l, template: {<<: *l, b: c}}\n`;
  expect(readManifests(anchored, "a").objects[0]?.object.spec).toEqual({
    selector: { app: "a" },
    template: { app: "a", b: "c" },
  });
});

test("a prototype key stays a key", () => {
  const [found] = readManifests(
    `${pod}  labels:\n    __proto__: {polluted: yes}\n    constructor: x\n`,
    "a",
  ).objects;
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  expect(Object.keys(found?.object.metadata.labels ?? {})).toEqual(["__proto__", "constructor"]);
});

test("what nests too deeply, or is no text of YAML at all, is a problem", () => {
  expect(readManifests("[".repeat(50_000), "deep").problems[0]?.message).toBe("is nested too deeply");
  expect(readManifests("hello", "a").problems).toMatchObject([
    { line: 1, message: expect.stringContaining("is not a Kubernetes object") },
  ]);
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => void readManifests(text, "any")),
    { numRuns: 200 },
  );
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom(
          "a: ",
          "- ",
          "&x ",
          "*x",
          "\n",
          "  ",
          "{",
          "}",
          "[",
          "]",
          "'",
          '"',
          "|",
          "---\n",
          "!!set ",
          "? ",
        ),
        { maxLength: 30 },
      ),
      (parts) => void readManifests(parts.join(""), "any"),
    ),
    { numRuns: 500 },
  );
});
