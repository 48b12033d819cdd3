import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { memoryFlags, memoryVariables } from "../../cli/up/program-file.ts";
import type { Connection } from "../../kube/contract.ts";
import type { ToController, Usage } from "./controller-process.ts";

/** The cluster and the controller of one phase of the bench, a process each. */
export interface Bed {
  readonly connection: Connection;
  /** What the controller's process has used so far. */
  usage(): Promise<Usage>;
  breakCanary(namespace: string, name: string): void;
  close(): Promise<void>;
}

export async function startBed(): Promise<Bed> {
  const server = fork(join(import.meta.dirname, "server-process.ts"));
  const { connection } = await answer<{ connection: Connection }>(server);
  // As `fairlead serve` is started.
  const controller = fork(join(import.meta.dirname, "controller-process.ts"), [], {
    execArgv: [...memoryFlags],
    env: { ...process.env, ...memoryVariables },
  });
  const tell = (message: ToController): void => void controller.send(message);
  tell({ kind: "start", connection });
  await answer(controller);
  return {
    connection,
    usage() {
      const said = answer<Usage>(controller);
      tell({ kind: "usage" });
      return said;
    },
    breakCanary: (namespace, name) => tell({ kind: "break", namespace, name }),
    async close() {
      await Promise.all([end(controller), end(server)]);
    },
  };
}

function answer<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const failed = (code: number | null) => reject(new Error(`a process of the bench ended with ${code}`));
    child.once("exit", failed);
    child.once("message", (message) => {
      child.off("exit", failed);
      resolve(message as T);
    });
  });
}

async function end(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.disconnect();
  await ended;
}
