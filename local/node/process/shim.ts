import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { type Attempt, logPath, readExit, readShim } from "./attempt-folder.ts";

/**
 * The program between the runner and a container's process.
 *
 * It leads a session of its own, so it outlives the runner; it writes its `/proc` line and the process's,
 * waits, and writes the exit code. It holds no pipe: output goes straight to the log file. The traps keep
 * it alive when its process group is signalled, and are not inherited by the process.
 */
const script = `state=$1; shift
trap : HUP INT QUIT TERM
read -r stat </proc/$$/stat && echo "$stat" >"$state/shim"
sh -c 'read -r stat </proc/$$/stat && echo "$stat" >"$0/process"; exec "$@"' "$state" "$@"
echo $? >"$state/exit"
`;

export interface Launch {
  readonly attempt: Attempt;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingFolder: string;
}

/**
 * Starts a container's process behind a shim, in a session of its own; resolves when the shim runs.
 *
 * @returns a promise of the shim's end, for the runner that started it
 * @throws when the shell cannot be started, e.g. the working folder does not exist
 */
export async function startProcess({
  attempt,
  command,
  environment,
  workingFolder,
}: Launch): Promise<{ ended: Promise<void> }> {
  const log = openSync(logPath(attempt), "a");
  try {
    const child = spawn("/bin/sh", ["-c", script, "fairlead", attempt.folder, ...command], {
      cwd: workingFolder,
      env: { ...environment },
      detached: true,
      stdio: ["ignore", log, log],
    });
    child.unref();
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("spawn", () => resolve());
    });
    child.on("error", () => undefined);
    await untilWritten(attempt);
    return { ended };
  } finally {
    closeSync(log);
  }
}

/** The shim's first act is to write its `/proc` line; a few milliseconds after `spawn`. */
async function untilWritten(attempt: Attempt): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (readShim(attempt) !== undefined || readExit(attempt) !== undefined) return;
    await new Promise((resolve) => setTimeout(resolve, tries < 20 ? 2 : 25));
  }
  throw new Error(`the shell for \`${join(attempt.folder)}\` did not start within 5 s`);
}
