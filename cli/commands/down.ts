import { existsSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { stopLeftPods } from "../../local/stop-left-pods.ts";
import { defaultDataDir, isAlive, readUpState, removeUpState, stopAllSignal } from "../up/state.ts";

interface DownOptions {
  readonly data: string;
  readonly purge?: boolean;
}

/** Longest time that pods get to end by themselves; then they are killed. */
const patience = 40_000;

/** Adds `fairlead down`. */
export function addDown(program: Command): void {
  program
    .command("down")
    .description("stop what `up` started: every pod, then the control plane")
    .option("--data <folder>", "where the state is kept", defaultDataDir)
    .option("--purge", "also remove the state: the objects, the authority's keys, the logs")
    .action(async (options: DownOptions) => {
      const dataDir = resolve(options.data);
      if (!existsSync(dataDir)) {
        process.stdout.write(`nothing is kept in ${dataDir}\n`);
        return;
      }
      await stopControlPlane(dataDir);
      const stopped = await stopLeftPods(dataDir);
      if (options.purge) rmSync(dataDir, { recursive: true, force: true });
      process.stdout.write(
        `stopped${stopped > 0 ? `, ${stopped} left ${stopped === 1 ? "pod" : "pods"} too` : ""}${options.purge ? `, ${dataDir} removed` : ""}\n`,
      );
    });
}

/** Lets the running control plane stop its pods in order; ends it by force when it does not. */
async function stopControlPlane(dataDir: string): Promise<void> {
  const state = readUpState(dataDir);
  if (state === undefined) return;
  process.kill(state.pid, stopAllSignal);
  const deadline = Date.now() + patience;
  while (isAlive(state.pid) && Date.now() < deadline) await new Promise((next) => setTimeout(next, 50));
  if (isAlive(state.pid)) process.kill(state.pid, "SIGKILL");
  removeUpState(dataDir);
}
