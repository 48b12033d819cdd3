import { spawn } from "node:child_process";
import { openSync, readFileSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { makeFolders } from "../../lib/folders.ts";
import { createLogger } from "../../lib/log.ts";
import { explainDisk } from "../../local/data-dir.ts";
import { askVersion } from "../../local/envoy/version.ts";
import { textOrJson } from "../output/format.ts";
import { logLevelOption } from "../output/log-level.ts";
import { readUpConfig } from "../up/config.ts";
import { chooseNetwork, type NetworkChoice, networkOption } from "../up/network.ts";
import { prepareEnvoy } from "../up/prepare-envoy.ts";
import { memoryFlags, memoryVariables, programFile } from "../up/program-file.ts";
import {
  defaultDataDir,
  readUpState,
  removeUpState,
  stopAllSignal,
  type UpState,
  writeUpState,
} from "../up/state.ts";
import { trimHeap } from "../up/trim-heap.ts";

interface UpOptions {
  readonly data: string;
  readonly foreground?: boolean;
  readonly yes?: boolean;
  readonly output: "text" | "json";
  readonly logLevel: string;
  readonly kubeconfig?: string;
  readonly account?: string;
  readonly network: NetworkChoice;
  readonly config?: string;
}

/** Adds `fairlead up`. */
export function addUp(program: Command): void {
  program
    .command("up")
    .description("start a Kubernetes API, the mesh and the controller on this machine")
    .option("--data <folder>", "where the state is kept", defaultDataDir)
    .option(
      "--kubeconfig <file>",
      "run the pods and the control plane of this cluster instead of an embedded one (test clusters without nodes; needs root)",
    )
    .option(
      "--account <namespace/name>",
      "with --kubeconfig: the service accounts that the control plane uses, as the Helm chart names them (name-controller, name-mesh, name-webhooks)",
    )
    .option(...networkOption)
    .option(
      "--config <file>",
      "what stands for images (default: fairlead.yaml of this folder, where there is one)",
    )
    .option("--foreground", "stay attached; Ctrl-C ends the control plane and leaves the pods running")
    .option("-y, --yes", "fetch what is missing (Envoy) without asking")
    .addOption(textOrJson("how to say that everything serves: json is one object"))
    .addOption(logLevelOption("warn"))
    .addHelpText(
      "after",
      "\nThen: export KUBECONFIG=~/.fairlead/kubeconfig && kubectl get pods\nPods outlive the control plane; `fairlead down` stops them.",
    )
    .action(async (options: UpOptions) => {
      const dataDir = resolve(options.data);
      if (options.foreground) await serve(dataDir, options);
      else await startInBackground(dataDir, options);
    });
}

function tell({ output }: UpOptions, state: UpState, words: string): void {
  if (output === "json") process.stdout.write(`${JSON.stringify({ event: "ready", ...state })}\n`);
  else
    process.stdout.write(
      `${words}\n  Kubernetes API   ${state.url}\n  network          ${state.network}: ${state.networkWhy}\n  export KUBECONFIG=${state.kubeconfig}\n`,
    );
}

/** Runs the control plane in this process until a signal. */
async function serve(dataDir: string, options: UpOptions): Promise<void> {
  // Sidecars and pods have their own ways with memory.
  for (const name of Object.keys(memoryVariables)) delete process.env[name];
  const logger = createLogger(options.logLevel);
  const envoy = await prepareEnvoy({ yes: options.yes === true, logger });
  const { runControlPlane } = await import("../run.ts");
  trimHeap();
  const { kubeconfig, account } = options;
  const network = await chooseNetwork(options.network);
  const { images } = readUpConfig(options.config);
  const controlPlane = await runControlPlane({
    ...{ dataDir, envoy, logger, images, network: network.mode },
    ...(kubeconfig === undefined ? {} : { kubeconfig: resolve(kubeconfig) }),
    ...(account === undefined ? {} : { account }),
  });
  const state: UpState = {
    pid: process.pid,
    url: controlPlane.url,
    kubeconfig: controlPlane.kubeconfig,
    envoyVersion: await askVersion(envoy),
    network: network.mode,
    networkWhy: network.why,
    startedAt: new Date().toISOString(),
  };
  writeUpState(dataDir, state);
  tell(options, state, "fairlead serves");
  // Who is killed writes nothing at its end.
  flushCompileCache();
  const signal = await new Promise<NodeJS.Signals>((done) => {
    for (const name of ["SIGINT", "SIGTERM", stopAllSignal] as const) process.once(name, done);
  });
  if (signal === stopAllSignal) await controlPlane.stopAll();
  else await controlPlane.close();
  removeUpState(dataDir);
  process.exit(0);
}

/** Starts the control plane as a process of its own and waits until it serves. */
async function startInBackground(dataDir: string, options: UpOptions): Promise<void> {
  const running = readUpState(dataDir);
  if (running) return tell(options, running, `fairlead serves already (process ${running.pid})`);
  const config = readUpConfig(options.config);
  // Asked here, where there is a terminal: the background process has none.
  await prepareEnvoy({ yes: options.yes === true, logger: createLogger(options.logLevel) });
  const logFile = join(dataDir, "control-plane.log");
  const log = openLog(dataDir, logFile);
  const child = spawn(
    process.execPath,
    [
      ...memoryFlags,
      ...[programFile, "up", "--foreground", "--yes", "--data", dataDir, "--log-level", options.logLevel],
      ...["--network", options.network],
      ...(options.kubeconfig === undefined ? [] : ["--kubeconfig", resolve(options.kubeconfig)]),
      ...(options.account === undefined ? [] : ["--account", options.account]),
      ...(config.path === undefined ? [] : ["--config", config.path]),
    ],
    {
      detached: true,
      stdio: ["ignore", log, log],
      env: { ...process.env, ...memoryVariables },
    },
  );
  const ended = new Promise<never>((_, reject) => {
    child.once("exit", () => reject(new Error(`the control plane did not start: ${lastWords(logFile)}`)));
    child.once("error", reject);
  });
  let waiting = true;
  const ready = (async () => {
    while (waiting) {
      const state = readUpState(dataDir);
      if (state?.pid === child.pid && state !== undefined) return state;
      await new Promise((next) => setTimeout(next, 50));
    }
    return undefined;
  })();
  const state = await Promise.race([ready, ended]).finally(() => {
    waiting = false;
  });
  ended.catch(() => undefined);
  if (state === undefined) return;
  child.unref();
  tell(options, state, `fairlead serves (process ${state.pid}, log ${logFile})`);
  process.exit(0);
}

/** @throws Error with one line that says what to do */
function openLog(dataDir: string, logFile: string): number {
  try {
    makeFolders(dataDir, 0o700);
    return openSync(logFile, "a");
  } catch (error) {
    throw new Error(explainDisk(error, dataDir), { cause: error });
  }
}

/** What the control plane said before it ended. On a full disk it could say nothing. */
function lastWords(logFile: string): string {
  const words = readFileSync(logFile, "utf8")
    .trim()
    .split("\n")
    .at(-1)
    ?.replace(/^error: /, "");
  return words || `it left no word in ${logFile}; is the disk full?`;
}
