import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { makeFolders } from "../../../lib/folders.ts";
import type { VolumeContent, VolumeFile } from "./content.ts";
import { VolumeError } from "./content.ts";

/**
 * Brings a volume's folder to its content; files are replaced whole, and only when they changed.
 *
 * @returns the folder that stands for the volume on this machine
 */
export function writeVolume(folder: string, content: VolumeContent): string {
  if (content.kind === "host") {
    if (content.type) bringHostPath(content.path, content.type);
    return content.path;
  }
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
    if (isAsWanted(target, content, mode)) continue;
    mkdirSync(dirname(target), { recursive: true });
    const fresh = join(dirname(target), `.${process.pid}.new`);
    writeFileSync(fresh, content);
    chmodSync(fresh, mode);
    renameSync(fresh, target);
  }
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isDirectory() && !wanted.has(path)) rmSync(path, { force: true });
  }
}

function isAsWanted(path: string, content: Buffer, mode: number): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true && (stat.mode & 0o777) === mode && readFileSync(path).equals(content);
}

/**
 * What a hostPath's type asks to be there or to be made.
 *
 * @throws VolumeError in the kubelet's words
 */
function bringHostPath(path: string, type: string): void {
  if (type === "DirectoryOrCreate") makeFolders(path);
  if (type === "FileOrCreate") writeFileSync(path, "", { flag: "a" });
  const stat = statSync(path, { throwIfNoEntry: false });
  const kinds = new Map([
    ["Directory", stat?.isDirectory()],
    ["DirectoryOrCreate", stat?.isDirectory()],
    ["File", stat?.isFile()],
    ["FileOrCreate", stat?.isFile()],
    ["Socket", stat?.isSocket()],
    ["CharDevice", stat?.isCharacterDevice()],
    ["BlockDevice", stat?.isBlockDevice()],
  ]);
  if (kinds.get(type) === true) return;
  throw new VolumeError(
    `hostPath type check failed: ${path} is not a ${type.replace("OrCreate", "").toLowerCase()}`,
  );
}
