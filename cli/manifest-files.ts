import { readdirSync, readFileSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import type { ManifestObject } from "../api/manifest.ts";
import { readManifests } from "../api/manifest.ts";
import { describeFileError, UsageError } from "./failure.ts";

/**
 * The objects of files, of all `.yaml`, `.yml` and `.json` files of folders, and of `-` (stdin), in order.
 *
 * @throws UsageError for a file that cannot be read or holds no objects; nothing of any file is used then
 */
export function readFiles(paths: readonly string[]): readonly ManifestObject[] {
  const read = paths.flatMap(expand).map((path) => readManifests(textOf(path), path));
  const problems = read.flatMap(({ problems }) => problems);
  if (problems.length > 0) {
    throw new UsageError(problems.map(({ file, line, message }) => `${file}:${line}: ${message}`).join("; "));
  }
  const objects = read.flatMap(({ objects }) => objects);
  if (objects.length === 0) throw new UsageError(`no objects in ${paths.join(", ")}`);
  return objects;
}

function expand(path: string): readonly string[] {
  if (path === "-" || !isFolder(path)) return [path];
  const files = readdirSync(path).filter((name) => [".yaml", ".yml", ".json"].includes(extname(name)));
  return files.sort().map((name) => join(path, name));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function textOf(path: string): string {
  try {
    return readFileSync(path === "-" ? 0 : path, "utf8");
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${describeFileError(error)}`);
  }
}
