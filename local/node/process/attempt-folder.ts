import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ProcessIdentity, parseStat } from "./stat.ts";

/**
 * One start of one container, as its folder tells it: `<pod folder>/containers/<container>/<number>/`.
 *
 * The shim writes `shim`, `process` and `exit`; the runner writes `attempt.json` before it starts the shim.
 * Everything that a restarted runner needs to adopt a container is here.
 */
export interface Attempt {
  readonly folder: string;
  /** 0 for the first start: a container's restart count is its last attempt's number. */
  readonly number: number;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  /** Milliseconds waited before this start; the next back-off grows from it. */
  readonly backOff: number;
}

/** How an attempt ended. */
export interface Exit {
  readonly code: number;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** Makes the folder of the next start. */
export function createAttempt(containerFolder: string, fields: Omit<Attempt, "folder">): Attempt {
  const folder = join(containerFolder, String(fields.number));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "attempt.json"), JSON.stringify(fields));
  return { folder, ...fields };
}

/** The attempts that are on disk, oldest first. */
export function readAttempts(containerFolder: string): readonly Attempt[] {
  const numbers = list(containerFolder)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
  return numbers.flatMap((number) => {
    const folder = join(containerFolder, String(number));
    const text = readText(join(folder, "attempt.json"));
    if (!text) return [];
    const { startedAt = 0, backOff = 0 } = JSON.parse(text) as Partial<Attempt>;
    return [{ folder, number, startedAt, backOff }];
  });
}

/** Removes all attempts before `keepFrom`: a container's log exists for its last two. */
export function pruneAttempts(containerFolder: string, keepFrom: number): void {
  for (const name of list(containerFolder)) {
    if (/^\d+$/.test(name) && Number(name) < keepFrom)
      rmSync(join(containerFolder, name), { recursive: true, force: true });
  }
}

/** The session leader that waits for the container's process; undefined before it runs. */
export function readShim({ folder }: Pick<Attempt, "folder">): ProcessIdentity | undefined {
  return parseStat(readText(join(folder, "shim")) ?? "");
}

/** The container's own process. */
export function readProcess({ folder }: Pick<Attempt, "folder">): ProcessIdentity | undefined {
  return parseStat(readText(join(folder, "process")) ?? "");
}

/** How the attempt ended; undefined while it runs, or when its shim was killed. */
export function readExit({ folder }: Pick<Attempt, "folder">): Exit | undefined {
  const path = join(folder, "exit");
  const text = readText(path);
  if (!text?.endsWith("\n")) return undefined;
  return { code: Number(text.trim()), at: statSync(path).mtimeMs };
}

/** Records an end that the shim could not: it was killed, or never started. */
export function writeExit({ folder }: Pick<Attempt, "folder">, code: number): void {
  writeFileSync(join(folder, "exit"), `${code}\n`);
}

/** Marks an attempt as ended on purpose by `fairlead down`: its restart is no crash. */
export function markStopped({ folder }: Pick<Attempt, "folder">): void {
  writeFileSync(join(folder, "stopped"), "");
}

/** Marks an attempt as ended because it used more memory than its limit. */
export function markOomKilled({ folder }: Pick<Attempt, "folder">): void {
  writeFileSync(join(folder, "oom-killed"), "");
}

export function wasOomKilled({ folder }: Pick<Attempt, "folder">): boolean {
  return readText(join(folder, "oom-killed")) !== undefined;
}

/** What the container wrote to its `terminationMessagePath`; of its latest attempt. */
export function terminationMessagePath(containerFolder: string): string {
  return join(containerFolder, "termination-log");
}

export function wasStopped({ folder }: Pick<Attempt, "folder">): boolean {
  return readText(join(folder, "stopped")) !== undefined;
}

/** Where the container's output goes. */
export function logPath({ folder }: Pick<Attempt, "folder">): string {
  return join(folder, "log");
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
