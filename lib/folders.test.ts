import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { makeFolders } from "./folders.ts";

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-folders-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("a folder is made with those above it, and is left as it is where it exists", () => {
  const root = newFolder();
  const path = join(root, "a", "b", "c");
  makeFolders(path, 0o700);
  expect(statSync(join(root, "a")).mode & 0o777).toBe(0o700);
  writeFileSync(join(path, "file"), "");
  makeFolders(path);
  expect(existsSync(join(path, "file"))).toBe(true);
});

test.for([
  ["a file", "file", "EEXIST"],
  ["below a file", "file/below", "ENOTDIR"],
] as const)("%s is no place for a folder", ([, name, code]) => {
  const root = newFolder();
  writeFileSync(join(root, "file"), "");
  expect(() => makeFolders(join(root, name))).toThrow(code);
});

test.skipIf(process.platform !== "linux")(
  "a file system that takes no new folders is told, not waited for",
  () => {
    expect(() => makeFolders("/proc/fairlead/state")).toThrow(
      "ENOENT: no such file or directory, mkdir '/proc/fairlead'",
    );
  },
);
