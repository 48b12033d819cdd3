import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../lib/clock.ts";
import type { AgentLog } from "./log.ts";

export interface EnvoyCommand {
  readonly binary: string;
  /** Path of the bootstrap. */
  readonly bootstrap: string;
  readonly concurrency: number;
  readonly logLevel: string;
}

/** Util-linux's way to have a child killed with its parent, whatever ends the parent. */
const parentDeathWrapper = "/usr/bin/setpriv";
const shortestPause = 100;
const longestPause = 10_000;
/** An Envoy that lived this long was well: the next pause is short again. */
const steadyAfter = 30_000;

/** Envoy's command line, as Istio's agent gives it. */
export function envoyArguments({ bootstrap, concurrency, logLevel }: EnvoyCommand): string[] {
  return [
    ["-c", bootstrap],
    ["--disable-hot-restart"],
    // A field that this Envoy does not know is refused, never passed over: it may be the one that shuts a door.
    ["--reject-unknown-dynamic-fields"],
    ["--concurrency", String(concurrency)],
    ["--drain-time-s", "45"],
    ["--drain-strategy", "immediate"],
    ["--file-flush-interval-msec", "1000"],
    ["-l", logLevel],
    // A line for each report (stats) and for each batch of attempts (misc) while the control plane is away says nothing new.
    ["--component-log-level", "stats:critical,misc:critical"],
    ["--log-format", "%Y-%m-%dT%T.%fZ\t%l\tenvoy %n\t%v"],
  ].flat();
}

/**
 * Keeps one Envoy running: its words go where ours go, and one that ends is started again after a growing pause.
 *
 * An Envoy that a killed agent left behind holds this pod's ports: it is ended first, by the pid file.
 */
export class EnvoyProcess {
  readonly #command: EnvoyCommand;
  readonly #pidFile: string;
  readonly #clock: Clock;
  readonly #log: AgentLog;
  readonly #onStart: () => void;
  #child: ChildProcess | undefined;
  #pause = shortestPause;
  #stopping = false;
  #cancelRestart = () => {};

  constructor(
    command: EnvoyCommand,
    { folder, clock, log, onStart }: { folder: string; clock: Clock; log: AgentLog; onStart: () => void },
  ) {
    this.#command = command;
    this.#pidFile = join(folder, "envoy.pid");
    this.#clock = clock;
    this.#log = log;
    this.#onStart = onStart;
  }

  start(): void {
    if (this.#stopping) return;
    killStale(this.#pidFile, this.#command.bootstrap);
    const startedAt = this.#clock.monotonic();
    const { binary } = this.#command;
    const wrapped = existsSync(parentDeathWrapper);
    const child = spawn(
      wrapped ? parentDeathWrapper : binary,
      [...(wrapped ? ["--pdeathsig", "KILL", "--", binary] : []), ...envoyArguments(this.#command)],
      { stdio: ["ignore", "inherit", "inherit"] },
    );
    this.#child = child;
    if (child.pid !== undefined) writeFileSync(this.#pidFile, String(child.pid));
    this.#onStart();
    let ended = false;
    const end = (reason: string) => {
      if (ended) return;
      ended = true;
      this.#child = undefined;
      rmSync(this.#pidFile, { force: true });
      if (this.#stopping) return;
      if (this.#clock.monotonic() - startedAt > steadyAfter) this.#pause = shortestPause;
      this.#log.error("envoy ended, starting it again", { reason, seconds: this.#pause / 1000 });
      this.#cancelRestart = this.#clock.after(this.#pause, () => this.start());
      this.#pause = Math.min(this.#pause * 2, longestPause);
    };
    child.on("error", (error) => end(`${binary} could not be started: ${error.message}; set ENVOY_BIN`));
    child.on("exit", (code, signal) => end(signal ?? `exit code ${code}`));
  }

  /** SIGTERM, then SIGKILL after `patience` milliseconds. Resolves when it is gone. */
  async stop(patience: number): Promise<void> {
    this.#stopping = true;
    this.#cancelRestart();
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill("SIGTERM");
    const cancel = this.#clock.after(patience, () => child.kill("SIGKILL"));
    await gone;
    cancel();
  }
}

/** Ends the process of the pid file, if that is still an Envoy with our bootstrap and not a stranger with its number. */
function killStale(pidFile: string, bootstrap: string): void {
  try {
    const pid = Number(readFileSync(pidFile, "utf8"));
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    if (Number.isInteger(pid) && pid > 1 && commandLine.includes(bootstrap)) process.kill(pid, "SIGKILL");
  } catch {
    // no pid file, no such process, or no /proc: nothing is left behind, or Envoy says that its ports are taken
  }
}
