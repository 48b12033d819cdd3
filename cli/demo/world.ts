import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createClient } from "../../kube/client.ts";
import type { Client } from "../../kube/contract.ts";
import { loadConnection } from "../../kube/kubeconfig.ts";
import { createLogger } from "../../lib/log.ts";
import type { NetworkMode } from "../../local/node/network/pod-network.ts";
import type { NetworkChoice } from "../up/network.ts";
import { prepareEnvoy } from "../up/prepare-envoy.ts";
import { memoryFlags, memoryVariables, programFile } from "../up/program-file.ts";

/** What `fairlead up --foreground -o json` says on stdout once everything serves. */
export interface Ready {
  readonly event: "ready";
  readonly url: string;
  readonly kubeconfig: string;
  readonly pid: number;
  readonly envoyVersion: string;
  readonly network: NetworkMode;
}

/** A control plane of the demo's own, in a folder of its own. */
export interface World {
  readonly folder: string;
  /** Of the newest start. */
  readonly ready: Ready;
  readonly client: Client;
  /** Ends the control plane at once, as a crash would; pods and sidecars go on. */
  crash(): Promise<void>;
  /** Starts it again on the same state. */
  restart(): Promise<void>;
  /** Stops every pod, the control plane, and removes the state (unless `keep`), and the folder where no record is in it. */
  stop(keep?: boolean): Promise<void>;
}

interface Up {
  readonly child: ChildProcess;
  readonly ready: Ready;
}

export interface WorldOptions {
  /** Whether what is missing is fetched without asking. */
  readonly yes: boolean;
  /** Of the cluster whose pods and control plane run here; default an embedded one. */
  readonly kubeconfig?: string;
  /** With `kubeconfig`: `namespace/name` of the service accounts that the control plane uses. */
  readonly account?: string;
  /** The pods' data path; default what `FAIRLEAD_NETWORK` says. */
  readonly network?: NetworkChoice;
}

/** Starts `fairlead up` as a user would; rejects with its own last words when it ends before it is ready. */
async function startUp(folder: string, { kubeconfig, account, network }: WorldOptions): Promise<Up> {
  const options = [
    ...["--foreground", "--yes", "-o", "json", "--data", join(folder, "state")],
    ...(kubeconfig === undefined ? [] : ["--kubeconfig", kubeconfig]),
    ...(account === undefined ? [] : ["--account", account]),
    ...(network === undefined ? [] : ["--network", network]),
  ];
  const child = spawn(process.execPath, [...memoryFlags, programFile, "up", ...options], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...memoryVariables },
    // Ctrl-C reaches the demo alone, which then stops things in order.
    detached: true,
  });
  const words: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    words.push(line);
    if (words.length > 20) words.shift();
  });
  const ready = await new Promise<Ready>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const said = JSON.parse(line) as { event?: string };
      if (said.event === "ready") resolve(said as Ready);
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`fairlead up ended with ${code}: ${words.join("\n")}`)));
  });
  return { child, ready };
}

/**
 * Lets the control plane stop its pods in order; one that has crashed is stood in for.
 *
 * @throws when pods may be left: what is told says how to stop them
 */
async function takeDown(dataDir: string): Promise<void> {
  let said = "";
  // Who presses Ctrl-C again may meet the one who cleans up before it is in a group of its own: another one takes over.
  for (let attempt = 1; attempt <= 3; attempt++) {
    const down = spawn(process.execPath, [programFile, "down", "--data", dataDir], {
      stdio: ["ignore", "ignore", "pipe"],
      detached: true,
    });
    said = "";
    down.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    const code = await new Promise((resolve) => down.once("close", resolve));
    if (code === 0) return;
  }
  throw new Error(
    `what runs for ${dataDir} could not be stopped${said === "" ? "" : ` (${said.trim()})`}: run \`fairlead down --data ${dataDir}\``,
  );
}

/** Ends a process and waits for it. */
async function end(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill(signal);
  await ended;
}

/** Starts a control plane of its own under the system's temporary folder. */
export async function startWorld(options: WorldOptions): Promise<World> {
  // Asked here, where there is a terminal: the control plane runs without one.
  await prepareEnvoy({ yes: options.yes, logger: createLogger("warn") });
  const folder = mkdtempSync(join(tmpdir(), "fairlead-demo-"));
  let up: Up;
  try {
    up = await startUp(folder, options);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  const client = createClient(await loadConnection({ kubeconfig: up.ready.kubeconfig }));
  return {
    folder,
    get ready() {
      return up.ready;
    },
    client,
    crash: () => end(up.child, "SIGKILL"),
    async restart() {
      up = await startUp(folder, options);
    },
    async stop(keep = false) {
      await client.close();
      await takeDown(join(folder, "state"));
      await end(up.child, "SIGTERM");
      if (keep) return;
      rmSync(join(folder, "state"), { recursive: true, force: true });
      // A record is the user's to read; a demo that was ended before its first request has none.
      if (readdirSync(folder).length === 0) rmdirSync(folder);
    },
  };
}
