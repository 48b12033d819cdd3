import { spawn } from "node:child_process";
import type { ProbeResult } from "./result.ts";

/** Where a command beside a container's process runs: with its environment and working folder. */
export interface ExecPlace {
  readonly environment: Readonly<Record<string, string>>;
  readonly workingFolder: string;
  /** The command line that runs a command in the pod's place. */
  readonly enter: (command: readonly string[]) => readonly string[];
}

/** Runs a command in a container's place; passes on exit code 0 within `timeout` milliseconds. Its group is killed after. */
export function probeExec(
  command: readonly string[],
  place: ExecPlace,
  timeout: number,
): Promise<ProbeResult> {
  const [program = "", ...args] = place.enter(command);
  const { promise, resolve } = Promise.withResolvers<ProbeResult>();
  const child = spawn(program, args, {
    cwd: place.workingFolder,
    env: { ...place.environment },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const collect = (chunk: Buffer) => {
    if (output.length < 1024) output += chunk.toString("utf8").slice(0, 1024);
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const killGroup = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // The group is already gone.
    }
  };
  const timer = setTimeout(() => {
    killGroup();
    resolve({ passed: false, message: `command "${command.join(" ")}" timed out` });
  }, timeout);
  child.once("error", ({ message }) => {
    clearTimeout(timer);
    resolve({ passed: false, message });
  });
  child.once("exit", (code) => {
    clearTimeout(timer);
    killGroup();
    resolve({ passed: code === 0, message: output.trim() || `command exited with ${code ?? "a signal"}` });
  });
  return promise;
}
