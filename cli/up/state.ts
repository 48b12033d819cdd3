import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { makeFolders } from "../../lib/folders.ts";
import type { NetworkMode } from "../../local/node/network/pod-network.ts";

/** Where `fairlead up` keeps its state unless `--data` says otherwise. */
export const defaultDataDir = join(homedir(), ".fairlead");

/** What a running control plane tells those who come after it; stands in its data folder while it serves. */
export interface UpState {
  readonly pid: number;
  /** Of the embedded Kubernetes API. */
  readonly url: string;
  /** Path of the kubeconfig. */
  readonly kubeconfig: string;
  readonly envoyVersion: string;
  /** The pods' data path, and why it was chosen. */
  readonly network: NetworkMode;
  readonly networkWhy: string;
  /** RFC 3339. */
  readonly startedAt: string;
}

/** Asks a control plane to stop every pod before it ends; SIGTERM leaves them running. */
export const stopAllSignal = "SIGUSR2";

/** Where a control plane that keeps its state in `dataDir` records the runs of its canaries. */
export function recordsFolder(dataDir: string): string {
  return join(dataDir, "runs");
}

const file = (dataDir: string): string => join(dataDir, "up.json");

export function writeUpState(dataDir: string, state: UpState): void {
  makeFolders(dataDir, 0o700);
  writeFileSync(file(dataDir), `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
}

export function removeUpState(dataDir: string): void {
  rmSync(file(dataDir), { force: true });
}

/** The control plane that serves from this folder, undefined where none does. */
export function readUpState(dataDir: string): UpState | undefined {
  let state: UpState;
  try {
    state = JSON.parse(readFileSync(file(dataDir), "utf8"));
  } catch {
    return undefined;
  }
  return isAlive(state.pid) ? state : undefined;
}

/** Whether a process of ours has this id. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("up");
  } catch {
    return false;
  }
}
