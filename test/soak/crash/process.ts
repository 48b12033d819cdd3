import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ControllerTask, ToParent } from "./controller-process.ts";

/** One controller process as the sweep sees it. */
export interface ControllerProcess {
  /** Resolves when it watches and takes part in the election; rejects where it ends before. */
  readonly ready: Promise<void>;
  /** Resolves when the process is gone: with the signal that ended it. */
  readonly ended: Promise<NodeJS.Signals | null>;
  /** The writes that it was about to send, in order. */
  readonly writes: readonly string[];
  /** Milliseconds for which it could have run and others had the cores; 0 where the system does not tell. */
  waited(): number;
  kill(): Promise<void>;
}

const program = join(import.meta.dirname, "controller-process.ts");
/** Where the program is kept compiled: more than half of what a start costs is spent on reading it anew. */
const compiled = mkdtempSync(join(tmpdir(), "fairlead-compiled-"));
process.once("exit", () => rmSync(compiled, { recursive: true, force: true }));

export function startControllerProcess(task: ControllerTask): ControllerProcess {
  const child: ChildProcess = fork(program, [], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    env: { ...process.env, NODE_COMPILE_CACHE: compiled },
  });
  const writes: string[] = [];
  const ended = new Promise<NodeJS.Signals | null>((resolve) =>
    child.once("exit", (_code, signal) => resolve(signal)),
  );
  const ready = new Promise<void>((resolve, reject) => {
    child.on("message", (message: ToParent) => {
      if (message.kind === "write") writes[message.number] = message.what;
      else resolve();
    });
    void ended.then((signal) => reject(new Error(`the controller ended (${signal}) before it was ready`)));
  });
  // A process that is killed at an early write is never ready: nobody need wait for it.
  ready.catch(() => undefined);
  child.send(task);
  return {
    ready,
    ended,
    writes,
    waited: () => waitedForCore(child.pid),
    async kill() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await ended;
    },
  };
}

/**
 * Milliseconds for which a process's main thread could have run and others had the cores; 0 where the system does not tell.
 *
 * `/proc/PID/schedstat` of Linux: nanoseconds on a core, nanoseconds in wait for one, time slices.
 */
export function waitedForCore(pid: number | undefined): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[1]) / 1e6;
  } catch {
    return 0;
  }
}
