import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readUpConfig } from "./config.ts";

function file(text: string): { path: string; folder: string } {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-config-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "fairlead.yaml");
  writeFileSync(path, text);
  return { path, folder };
}

test("images read as lists and as objects, relative to the file", () => {
  const { path, folder } = file(`
images:
  example/hello: [node, hello.js]
  example/web: { command: [node], args: [web.js], env: { PORT: "80" }, workingDir: web }
`);
  expect(readUpConfig(path)).toEqual({
    path,
    images: new Map([
      ["example/hello", { command: ["node", "hello.js"], workingDir: folder }],
      [
        "example/web",
        { command: ["node"], args: ["web.js"], env: { PORT: "80" }, workingDir: join(folder, "web") },
      ],
    ]),
  });
  expect(readUpConfig(file("").path).images.size).toBe(0);
});

test.for([
  ["image: {}", "image: found {}, allowed is `images` and nothing else"],
  ["images: { web: node }", 'images["web"]: found "node", allowed is a list of words'],
  ["images: { web: [] }", 'images["web"]: found [], allowed is a list of words'],
  ["images: { web: { args: [a] } }", 'images["web"].command: found null'],
  ["images: { web: { command: [a], port: 1 } }", 'images["web"].port: found 1'],
  ["images: { web: { command: [a], env: { P: 1 } } }", 'images["web"].env.P: found 1, allowed is text'],
  ["[", "is not YAML"],
])("%s is refused in one line", ([text = "", words = ""]) => {
  expect(() => readUpConfig(file(text).path)).toThrow(words);
});

test("a named file must be there", () => {
  expect(() => readUpConfig("/nowhere/fairlead.yaml")).toThrow("cannot read /nowhere/fairlead.yaml");
});
