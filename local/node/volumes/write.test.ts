import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { writeVolume } from "./write.ts";

test("a hostPath of type DirectoryOrCreate is made where it is missing, and told where it cannot be", () => {
  const root = mkdtempSync(join(tmpdir(), "fairlead-host-path-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const bring = (path: string) => writeVolume(root, { kind: "host", path, type: "DirectoryOrCreate" });
  const path = join(root, "a", "b");
  expect(bring(path)).toBe(path);
  expect(statSync(path).isDirectory()).toBe(true);
  expect(bring(path)).toBe(path);
  expect(() => bring("/proc/fairlead")).toThrow("mkdir '/proc/fairlead'");
});
