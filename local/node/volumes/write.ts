import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import type { VolumeContent, VolumeFile } from "./content.ts";
import { VolumeError } from "./content.ts";

/**
 * Brings a volume's folder to its content; files are replaced whole, and only when they changed.
 *
 * @returns the folder that stands for the volume on this machine
 */
export function writeVolume(folder: string, content: VolumeContent): string {
  if (content.kind === "host") return content.path;
  mkdirSync(folder, { recursive: true });
  if (content.kind === "files") writeFiles(folder, content.files);
  return folder;
}

function writeFiles(folder: string, files: readonly VolumeFile[]): void {
  const wanted = new Set<string>();
  for (const { path, content, mode } of files) {
    const target = join(folder, path);
    if (relative(folder, target).startsWith(".."))
      throw new VolumeError(`file \`${path}\` is outside its volume`);
    wanted.add(target);
    if (existsSync(target) && readFileSync(target).equals(content)) continue;
    mkdirSync(dirname(target), { recursive: true });
    const fresh = join(dirname(target), `.${process.pid}.new`);
    writeFileSync(fresh, content, { mode });
    renameSync(fresh, target);
  }
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isDirectory() && !wanted.has(path)) rmSync(path, { force: true });
  }
}
