import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { makeFolders } from "../lib/folders.ts";
import { isAlive, type ProcessIdentity, readStat } from "./node/process/stat.ts";

/** Where fairlead keeps its state: `~/.fairlead` unless another folder is named. */
export function defaultDataDir(): string {
  return join(homedir(), ".fairlead");
}

/** The places in a data folder. */
export interface DataDirLayout {
  readonly root: string;
  /** What the embedded API server stores. */
  readonly state: string;
  /** One folder a pod; see `node/pod-folder.ts`. */
  readonly pods: string;
  readonly kubeconfig: string;
  /** Which 127.S.0.0/16 belongs to this folder. */
  readonly subnet: string;
  readonly lock: string;
}

export function layoutOf(root: string): DataDirLayout {
  return {
    root,
    state: join(root, "state"),
    pods: join(root, "pods"),
    kubeconfig: join(root, "kubeconfig"),
    subnet: join(root, "subnet"),
    lock: join(root, "lock"),
  };
}

/** Why a data folder cannot be used; one line that says what to do. */
export class DataDirError extends Error {
  override readonly name = "DataDirError";
}

/** A data folder that this process alone uses, until `release`. */
export interface DataDir extends DataDirLayout {
  release(): void;
}

/**
 * Makes the folder where it is missing and takes its lock.
 *
 * The lock holds pid and start time, so that one left by a process that was killed is taken over.
 * @throws DataDirError when another process holds it, or it cannot be written
 */
export function openDataDir(root: string): DataDir {
  const layout = layoutOf(root);
  try {
    makeFolders(layout.state);
    makeFolders(layout.pods);
    takeLock(layout.lock, root);
  } catch (error) {
    throw error instanceof DataDirError ? error : new DataDirError(explainDisk(error, root));
  }
  return {
    ...layout,
    release() {
      if (readHolder(layout.lock)?.pid === process.pid) rmSync(layout.lock, { force: true });
    },
  };
}

/** The process that uses a data folder now; undefined when nobody does. */
export function holderOf(root: string): ProcessIdentity | undefined {
  const holder = readHolder(layoutOf(root).lock);
  return holder && isAlive(holder) ? holder : undefined;
}

function takeLock(path: string, root: string): void {
  const own = readStat(process.pid);
  const text = JSON.stringify({ pid: process.pid, startTime: own?.startTime ?? "" });
  for (let tries = 0; tries < 3; tries++) {
    try {
      const file = openSync(path, "wx");
      writeSync(file, text);
      closeSync(file);
      return;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    }
    const holder = readHolder(path);
    if (holder && isAlive(holder)) {
      throw new DataDirError(
        `${root} is used by process ${holder.pid}: stop it with \`fairlead down\`, or name another data folder (\`--data\`)`,
      );
    }
    // Renamed away first: of two that find the same stale lock, one removes it.
    const stale = `${path}.${process.pid}`;
    try {
      renameSync(path, stale);
      rmSync(stale, { force: true });
    } catch {
      // The other one was faster; the next round sees its lock.
    }
  }
  throw new DataDirError(`${root} is being taken by another process: try again`);
}

function readHolder(path: string): ProcessIdentity | undefined {
  try {
    const { pid, startTime } = JSON.parse(readFileSync(path, "utf8")) as Partial<ProcessIdentity>;
    return pid !== undefined && startTime !== undefined ? { pid, startTime } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a write failed because there is no room for it. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}

/** Turns a failed write into what to do. */
export function explainDisk(error: unknown, root: string): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return `no space left on the disk of ${root}: free some, or name another data folder (\`--data\`)`;
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return `${root} may not be written: change its owner, or name another data folder (\`--data\`)`;
    case "ENOENT":
      return `${root} cannot be made: its file system takes no new folders; name another data folder (\`--data\`)`;
    case "ENOTDIR":
    case "EEXIST":
      return `${root} cannot be used: it is no folder; name another data folder (\`--data\`)`;
    default:
      return `${root} cannot be used: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** The subnet that this folder had before; undefined on the first run. */
export function readSubnet({ subnet }: DataDirLayout): number | undefined {
  try {
    const number = Number(readFileSync(subnet, "utf8").trim());
    return Number.isInteger(number) && number >= 1 && number <= 254 ? number : undefined;
  } catch {
    return undefined;
  }
}

export function writeSubnet({ subnet }: DataDirLayout, value: number): void {
  writeFileSync(subnet, `${value}\n`);
}
