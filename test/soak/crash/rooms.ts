import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import type { KillPoint } from "./killing-client.ts";
import type { CountFromHere, RoomsTask } from "./rooms-process.ts";

/** The control plane's rooms in a process of their own, started again whenever they are killed. */
export interface KilledRooms {
  /** From here on the controller's writes are counted, and it is killed at `kill`. */
  count(kill: KillPoint | undefined): void;
  /** Since `count`: what was written, and whether the process was killed. */
  readonly writes: readonly string[];
  readonly killed: boolean;
  /** Resolves when the process that runs now is ready. */
  ready(): Promise<void>;
  close(): Promise<void>;
}

type ToParent =
  | { readonly kind: "ready" }
  | { readonly kind: "write"; readonly number: number; readonly what: string };

const program = join(import.meta.dirname, "rooms-process.ts");

export function startKilledRooms(task: RoomsTask): KilledRooms {
  let writes: string[] = [];
  let killed = false;
  let closing = false;
  let child: ChildProcess;
  let ready: Promise<void>;

  function start(): void {
    child = fork(program, [], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const started = child;
    ready = new Promise((resolve, reject) => {
      started.on("message", (message: ToParent) => {
        if (message.kind === "ready") resolve();
        else if (!killed) writes[message.number] = message.what;
      });
      started.once("exit", (_code, signal) => {
        reject(new Error(`the control plane ended (${signal})`));
        if (closing) return;
        killed = true;
        start();
      });
    });
    ready.catch(() => undefined);
    started.send(task);
  }
  start();

  return {
    count(kill) {
      writes = [];
      killed = false;
      child.send({ ...(kill && { kill }) } satisfies CountFromHere);
    },
    get writes() {
      return writes;
    },
    get killed() {
      return killed;
    },
    ready: () => ready,
    async close() {
      closing = true;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    },
  };
}
