import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Attempt,
  createAttempt,
  logPath,
  readAttempts,
  readExit,
  readProcess,
} from "../process/attempt-folder.ts";
import { killAll, markerVariable, shimRuns } from "../process/session.ts";
import { startProcess } from "../process/shim.ts";
import { isAlive } from "../process/stat.ts";

/**
 * A process that holds namespaces open, as a pod's pause container does: it sets them up and sleeps.
 *
 * It outlives the runner; its folder tells the next one which process it is. With it end the namespaces and every
 * interface in them.
 */
export interface Holder {
  readonly pid: number;
}

export interface HolderPlan {
  /** Where its state is kept. */
  readonly folder: string;
  /** Namespaces of its own: options of `unshare`, e.g. `--net`. */
  readonly namespaces: readonly string[];
  /** Shell commands that set them up; `$1`… are `args`, `$etc` the folder of `files`. */
  readonly script: string;
  readonly args: readonly string[];
  /** Small files for the script, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Milliseconds that setting up may take on a busy machine. */
const patience = 20_000;

/** The holder that runs from an earlier start; undefined where there is none. */
export function findHolder(folder: string): Holder | undefined {
  const attempt = readAttempts(folder).at(-1);
  if (attempt === undefined || !existsSync(readyPath(attempt)) || !shimRuns(attempt)) return undefined;
  const main = readProcess(attempt);
  return main !== undefined && isAlive(main) ? { pid: main.pid } : undefined;
}

/**
 * Starts a holder and waits until its namespaces stand. One that is left half-made is ended first.
 *
 * @throws Error with what the script said
 */
export async function startHolder({
  folder,
  namespaces,
  script,
  args,
  files = {},
}: HolderPlan): Promise<Holder> {
  stopHolder(folder);
  const attempt = createAttempt(folder, { number: 0, startedAt: Date.now(), backOff: 0 });
  const etc = join(attempt.folder, "etc");
  mkdirSync(etc);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(etc, name), text);
  const whole = `set -e\netc=$0\n${script}\n: >"$etc/ready"\nexec sleep infinity`;
  const { ended } = await startProcess({
    attempt,
    command: ["unshare", ...namespaces, "--", "sh", "-c", whole, etc, ...args],
    environment: { PATH: searchPath(), [markerVariable]: attempt.folder },
    workingFolder: "/",
  });
  let over = false;
  void ended.then(() => {
    over = true;
  });
  const deadline = Date.now() + patience;
  while (!existsSync(readyPath(attempt))) {
    if (over || readExit(attempt) !== undefined || Date.now() > deadline) {
      const words = lastWords(attempt);
      stopHolder(folder);
      throw new Error(`cannot set up network namespaces: ${words}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
  const main = readProcess(attempt);
  if (main === undefined) throw new Error("cannot set up network namespaces: the holder is gone");
  return { pid: main.pid };
}

/** Ends a holder, and with it the namespaces that nobody else is in. */
export function stopHolder(folder: string): void {
  for (const attempt of readAttempts(folder)) killAll(attempt, { shimToo: true });
}

/** Where the programs of the system are, whatever PATH says. */
export function searchPath(): string {
  return `${process.env.PATH ?? "/usr/bin:/bin"}:/usr/sbin:/sbin:/usr/bin:/bin`;
}

function readyPath({ folder }: Attempt): string {
  return join(folder, "etc", "ready");
}

function lastWords(attempt: Attempt): string {
  const text = existsSync(logPath(attempt)) ? readFileSync(logPath(attempt), "utf8").trim() : "";
  return text.split("\n").at(-1) || "no answer within 20 s";
}
