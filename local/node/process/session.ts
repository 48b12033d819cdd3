import { type FSWatcher, watch } from "node:fs";
import { type Attempt, type Exit, readExit, readProcess, readShim, writeExit } from "./attempt-folder.ts";
import {
  isAlive,
  type ProcessIdentity,
  processesWithEnvironment,
  readStat,
  sessionMembers,
  signalProcess,
} from "./stat.ts";

/** Name of the environment variable by which a container's processes are found again, whatever session they are in. */
export const markerVariable = "FAIRLEAD_CONTAINER";

/** Exit code of a container whose shim was killed with it, as the kubelet reports a lost one. */
const lostExitCode = 137;

/**
 * Waits for the end of an attempt, whoever started it.
 *
 * The exit file is watched; once a second the shim is looked for too, as a killed one writes nothing.
 * `ended` (the shim's own end) is known to the runner that started it and makes this immediate.
 */
export function waitForExit(
  attempt: Attempt,
  ended?: Promise<void>,
): { exit: Promise<Exit>; readonly cancel: () => void } {
  const { promise, resolve } = Promise.withResolvers<Exit>();
  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;
  const cancel = () => {
    watcher?.close();
    clearInterval(timer);
  };
  const look = (shimGone: boolean) => {
    let exit = readExit(attempt);
    if (exit === undefined && shimGone) exit = recordLost(attempt);
    if (exit === undefined) return;
    cancel();
    resolve(exit);
  };
  if (ended) {
    void ended.then(() => look(true));
  } else {
    watcher = watch(attempt.folder, () => look(false));
    watcher.on("error", () => undefined);
    timer = setInterval(() => look(!shimRuns(attempt)), 1000);
    timer.unref();
    look(!shimRuns(attempt));
  }
  return { exit: promise, cancel };
}

/** The end of an attempt whose shim left no word; kept for the next control plane where the disk takes it. */
function recordLost(attempt: Attempt): Exit {
  try {
    writeExit(attempt, lostExitCode);
  } catch {
    // A full disk or a folder that is gone: whoever asks later finds no shim either, and comes to the same end.
  }
  return readExit(attempt) ?? { code: lostExitCode, at: Date.now() };
}

/** Whether the attempt's shim still waits for its process. */
export function shimRuns(attempt: Attempt): boolean {
  const shim = readShim(attempt);
  return shim !== undefined && isAlive(shim);
}

/** Asks the container's process to end, as the kubelet signals a container's first process. */
export function terminate(attempt: Attempt): void {
  const main = readProcess(attempt);
  if (main) signalProcess(main, "SIGTERM");
}

/**
 * Kills every process of the attempt: its session except the shim, which then writes the exit code, and those
 * that left the session but carry the container's marker. `shimToo` for an attempt that nobody waits for.
 *
 * @returns how many processes were killed
 */
export function killAll(attempt: Pick<Attempt, "folder">, { shimToo = false } = {}): number {
  const shim = readShim(attempt);
  const marked = processesWithEnvironment(`${markerVariable}=${attempt.folder}`);
  const victims = [...(shim ? sessionOf(shim) : []), ...marked];
  return victims.filter((victim) => (shimToo || victim.pid !== shim?.pid) && signalProcess(victim, "SIGKILL"))
    .length;
}

/** A session outlives its leader, and its number is not given to another process while it has members. */
function sessionOf(leader: ProcessIdentity): readonly ProcessIdentity[] {
  const now = readStat(leader.pid);
  return now === undefined || now.startTime === leader.startTime ? sessionMembers(leader.pid) : [];
}
