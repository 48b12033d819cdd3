import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerStatus, Pod } from "../../api/core.ts";
import type { Recorder } from "../../kube/contract.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Milliseconds } from "../../lib/units.ts";
import {
  type Container,
  type ContainerRecord,
  newRecord,
  type Role,
  type Situation,
  type Terminated,
} from "./container.ts";
import { runHandler } from "./lifecycle.ts";
import { ContainerLog } from "./log/container-log.ts";
import { startContainerProbes } from "./probe/container-probes.ts";
import type { ExecPlace } from "./probe/exec.ts";
import { type ProbeTarget, runProbe } from "./probe/run.ts";
import {
  type Attempt,
  createAttempt,
  type Exit,
  markOomKilled,
  markStopped,
  pruneAttempts,
  readAttempts,
  readExit,
  readShim,
  terminationMessagePath,
  wasStopped,
} from "./process/attempt-folder.ts";
import { killAll, markerVariable, shimRuns, terminate, waitForExit } from "./process/session.ts";
import { startProcess } from "./process/shim.ts";
import { describeExit } from "./termination.ts";

export interface ContainerRunnerOptions {
  readonly container: Container;
  readonly role: Role;
  /** `<pod folder>/containers/<name>` */
  readonly folder: string;
  readonly podIp: string;
  readonly clock: Clock;
  readonly recorder: Recorder;
  /** The pod's newest version, for events. */
  pod(): Pod;
  /** Called after each change of the record. */
  changed(): void;
}

/** How to start: what the manifest and this machine make of it. */
export interface StartPlan {
  readonly command: readonly string[];
  readonly environment: ReadonlyMap<string, string>;
  readonly workingFolder: string;
  /** The command line that runs a command in the pod's place. */
  readonly enter: (command: readonly string[]) => readonly string[];
  readonly backOff: Milliseconds;
}

/** Runs one container of one pod: its process, its probes and its record. */
export class ContainerRunner {
  #record: ContainerRecord;
  #attempt: Attempt | undefined;
  #place: ExecPlace | undefined;
  #exit: Promise<Exit> | undefined;
  #stopProbes: () => void = () => undefined;
  #cancelWait: () => void = () => undefined;
  #log: ContainerLog | undefined;
  #stopping: Promise<void> | undefined;
  readonly #options: ContainerRunnerOptions;

  constructor(options: ContainerRunnerOptions) {
    this.#options = options;
    this.#record = newRecord(options.container.name, options.role);
  }

  get record(): ContainerRecord {
    return this.#record;
  }

  get container(): Container {
    return this.#options.container;
  }

  /** Id of the session that its processes are of; undefined while it does not run. */
  get session(): number | undefined {
    if (this.#record.situation.kind !== "running" || !this.#attempt) return undefined;
    return readShim(this.#attempt)?.pid;
  }

  /** Takes over what an earlier runner left: a process that still runs, or how it ended. */
  adopt(
    before: ContainerStatus | undefined,
    findPlace: () => Pick<StartPlan, "environment" | "workingFolder" | "enter">,
  ): void {
    const attempts = readAttempts(this.#options.folder);
    const latest = attempts.at(-1);
    if (latest === undefined) return;
    const previous = attempts.at(-2);
    const last = previous && endOf(previous);
    this.#change({ attempt: latest.number, backOff: latest.backOff, ...(last ? { last } : {}) });
    if (!shimRuns(latest)) {
      killAll(latest, { shimToo: true });
      this.#change({
        situation: endOf(latest, this.container) ?? lost(latest),
        stoppedOnPurpose: wasStopped(latest),
      });
      return;
    }
    const same = before?.state?.running !== undefined && before.restartCount === latest.number;
    this.#change({
      situation: { kind: "running", startedAt: latest.startedAt },
      started: same && before.started === true,
      ready: same && before.ready,
    });
    try {
      const { environment, workingFolder, enter } = findPlace();
      this.#place = { environment: Object.fromEntries(environment), workingFolder, enter };
    } catch {
      // What its environment came from is gone: the process goes on, exec probes run without it.
    }
    this.#follow(latest);
    this.#startProbes();
  }

  /**
   * Starts the next attempt; resolves when its process runs. postStart and the probes follow.
   *
   * @throws when the process cannot be started: the record then waits with the reason
   */
  async start({ command, environment, workingFolder, enter, backOff }: StartPlan): Promise<void> {
    const { folder, clock, container } = this.#options;
    const { situation, attempt: before } = this.#record;
    const number = before + 1;
    pruneAttempts(folder, number - 1);
    mkdirSync(folder, { recursive: true });
    writeFileSync(terminationMessagePath(folder), "");
    const attempt = createAttempt(folder, { number, startedAt: clock.now(), backOff });
    const variables = { ...Object.fromEntries(environment), [markerVariable]: attempt.folder };
    this.#place = { environment: variables, workingFolder, enter };
    const { ended } = await startProcess({
      ...{ attempt, workingFolder },
      command: enter(command),
      environment: variables,
    });
    this.#follow(attempt, ended);
    this.#change({
      situation: { kind: "running", startedAt: attempt.startedAt },
      ...(situation.kind === "terminated" ? { last: situation } : {}),
      attempt: number,
      backOff,
      stoppedOnPurpose: false,
      started: false,
      ready: false,
    });
    this.#event("Normal", "Started", `Started container ${container.name}`);
    // Not awaited: a pod's other containers do not wait for this one's postStart.
    void this.#afterStart(attempt);
  }

  /** Shows why the container does not start. */
  wait(reason: string, message?: string): void {
    const { situation } = this.#record;
    if (situation.kind === "waiting" && situation.reason === reason && situation.message === message) return;
    this.#change({
      situation: { kind: "waiting", reason, ...(message === undefined ? {} : { message }) },
      ...(situation.kind === "terminated" ? { last: situation } : {}),
    });
  }

  /** Runs preStop within `timeout` milliseconds. */
  async preStop(timeout: Milliseconds): Promise<void> {
    const handler = this.container.lifecycle?.preStop;
    if (!handler || this.#record.situation.kind !== "running") return;
    const result = await Promise.race([runHandler(handler, this.#target(), timeout), this.#exit]);
    if (result && "passed" in result && !result.passed) {
      this.#event("Warning", "FailedPreStopHook", `PreStopHook failed: ${result.message}`);
    }
  }

  /** SIGTERM, then SIGKILL to all of its processes after `grace` milliseconds; resolves when they are gone. */
  stop(grace: Milliseconds, { onPurpose = false } = {}): Promise<void> {
    if (this.#stopping) return this.#stopping;
    const attempt = this.#attempt;
    const exit = this.#exit;
    if (!attempt || !exit || this.#record.situation.kind !== "running") return Promise.resolve();
    if (onPurpose) markStopped(attempt);
    if (onPurpose) this.#change({ stoppedOnPurpose: true });
    const work = async () => {
      terminate(attempt);
      let cancel: () => void = () => undefined;
      const timeout = new Promise<void>((resolve) => {
        cancel = this.#options.clock.after(grace, resolve);
      });
      await Promise.race([exit, timeout]);
      cancel();
      killAll(attempt);
      await exit;
    };
    this.#stopping = work();
    return this.#stopping;
  }

  /** Ends it at once because it uses more memory than its limit; it is restarted by the pod's policy. */
  killForMemory(): void {
    const attempt = this.#attempt;
    if (!attempt || this.#stopping || this.#record.situation.kind !== "running") return;
    markOomKilled(attempt);
    killAll(attempt);
  }

  /** Stops looking; the process goes on. */
  release(): void {
    this.#stopProbes();
    this.#cancelWait();
    this.#log?.close();
  }

  /** Ends probing, so that nothing is restarted any more; readiness stays as it was until the process ends. */
  endRestarts(): void {
    this.#stopProbes();
  }

  #follow(attempt: Attempt, ended?: Promise<void>): void {
    this.#attempt = attempt;
    this.#stopping = undefined;
    this.#log = new ContainerLog(attempt, this.#options.clock);
    const { exit, cancel } = waitForExit(attempt, ended);
    this.#cancelWait = cancel;
    this.#exit = exit.then((end) => {
      this.#stopProbes();
      // What the process left behind ends with it, as in a container.
      killAll(attempt);
      this.#log?.close();
      this.#change({ situation: describeExit(end, attempt, this.container), started: false, ready: false });
      return end;
    });
  }

  async #afterStart(attempt: Attempt): Promise<void> {
    const handler = this.container.lifecycle?.postStart;
    if (handler) {
      const result = await runHandler(handler, this.#target(), 600_000);
      if (this.#attempt !== attempt || this.#record.situation.kind !== "running") return;
      if (!result.passed) {
        this.#event("Warning", "FailedPostStartHook", `PostStartHook failed: ${result.message}`);
        await this.stop(this.#grace());
        return;
      }
    }
    this.#startProbes();
  }

  #startProbes(): void {
    this.#stopProbes();
    this.#stopProbes = startContainerProbes({
      container: this.container,
      started: this.#record.started,
      clock: this.#options.clock,
      ask: (probe) => runProbe(probe, this.#target()),
      onStarted: () => this.#change({ started: true }),
      onReady: (ready) => this.#change({ ready }),
      onFailed: (kind, graceSeconds) => this.#restart(kind, graceSeconds),
      onUnhealthy: (message) => this.#event("Warning", "Unhealthy", message),
    });
  }

  #restart(probe: string, graceSeconds?: number): void {
    const { name } = this.container;
    this.#event("Normal", "Killing", `Container ${name} failed ${probe} probe, will be restarted`);
    const grace = graceSeconds === undefined ? this.#grace() : graceSeconds * 1000;
    void this.preStop(grace).then(() => this.stop(grace));
  }

  #grace(): Milliseconds {
    return (this.#options.pod().spec?.terminationGracePeriodSeconds ?? 30) * 1000;
  }

  #target(): ProbeTarget {
    const place = this.#place ?? { environment: {}, workingFolder: "/", enter: (command) => command };
    return { container: this.container, podIp: this.#options.podIp, ...place };
  }

  #event(type: "Normal" | "Warning", reason: string, message: string): void {
    this.#options.recorder.event(this.#options.pod(), type, reason, message);
  }

  #change(fields: Partial<ContainerRecord>): void {
    const next = { ...this.#record, ...fields };
    const same = (Object.keys(fields) as (keyof ContainerRecord)[]).every(
      (key) => this.#record[key] === next[key],
    );
    if (same) return;
    this.#record = next;
    this.#options.changed();
  }
}

/** The folder that holds a container's attempts. */
export function containerFolder(podFolder: string, name: string): string {
  return join(podFolder, "containers", name);
}

function endOf(attempt: Attempt, container?: Container): Terminated | undefined {
  const exit = readExit(attempt);
  return exit && describeExit(exit, attempt, container);
}

function lost({ startedAt }: Attempt): Situation {
  const message = "the container's processes were gone when the runner came back";
  return {
    kind: "terminated",
    exitCode: 137,
    reason: "ContainerStatusUnknown",
    message,
    startedAt,
    finishedAt: Date.now(),
  };
}
