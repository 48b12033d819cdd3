import { isDeepStrictEqual } from "node:util";
import { type Pod, PodKind } from "../../api/core.ts";
import { isNotFound } from "../../kube/error.ts";
import { hostAddress } from "./address.ts";
import { type ContainerRecord, containersOf } from "./container.ts";
import { ContainerRunner, containerFolder } from "./container-runner.ts";
import { ContainerConfigError } from "./environment.ts";
import { deadlineExceeded, deadlineOf, type PodPlan, planPod } from "./plan.ts";
import type { PodContext } from "./pod-context.ts";
import { PodPreparation } from "./pod-preparation.ts";
import { type PodStatus, podStatus, statusPatch } from "./pod-status.ts";
import { parseQuantity } from "./quantity.ts";
import { stopContainers } from "./stop-containers.ts";
import type { LimitedContainer } from "./usage/memory-limits.ts";

export interface PodWorkerOptions {
  readonly context: PodContext;
  readonly pod: Pod;
  readonly ip: string;
  /** `<data folder>/pods/<start of uid>` */
  readonly folder: string;
  /** Asks for another `sync`, at once. */
  readonly changed: () => void;
}

/** Milliseconds until volumes that could not be made, and containers that could not be started, are tried again. */
const remountAfter = 2_000;
const restartAfter = 10_000;

/** Keeps one pod's processes and status as its object asks. `sync` is called by one at a time. */
export class PodWorker {
  #pod: Pod;
  readonly #context: PodContext;
  readonly #ip: string;
  readonly #changed: () => void;
  readonly #runners: ReadonlyMap<string, ContainerRunner>;
  readonly #preparation: PodPreparation;
  readonly #toldBackOff = new Map<string, number>();
  #published: PodStatus | undefined;
  #stopping: Promise<void> | undefined;
  #ended = false;
  #released = false;

  constructor({ context, pod, ip, folder, changed }: PodWorkerOptions) {
    this.#context = context;
    this.#pod = pod;
    this.#changed = changed;
    this.#ip = ip;
    this.#preparation = new PodPreparation(context, folder, ip);
    const runners = (pod.spec ? containersOf(pod.spec) : []).map(({ container, role }) => {
      const runner = new ContainerRunner({
        container,
        role,
        folder: containerFolder(folder, container.name),
        podIp: ip,
        clock: context.clock,
        recorder: context.recorder,
        pod: () => this.#pod,
        changed,
      });
      return [container.name, runner] as const;
    });
    this.#runners = new Map(runners);
  }

  get pod(): Pod {
    return this.#pod;
  }

  update(pod: Pod): void {
    this.#pod = pod;
  }

  /** The containers that run, with the sessions that their processes are of. */
  sessions(): readonly { readonly name: string; readonly session: number }[] {
    return this.#all().flatMap(({ container: { name }, session }) =>
      session === undefined ? [] : [{ name, session }],
    );
  }

  /** The running containers that have a limit of memory. */
  memoryLimits(): readonly LimitedContainer[] {
    return this.#all().flatMap((runner) => {
      const limitBytes = parseQuantity(runner.container.resources?.limits?.memory ?? "");
      if (limitBytes === undefined || runner.session === undefined) return [];
      return [{ session: runner.session, limitBytes, kill: () => runner.killForMemory() }];
    });
  }

  /** Takes over the processes that an earlier runner started for this pod. */
  adopt(): void {
    const { initContainerStatuses = [], containerStatuses = [] } = this.#pod.status ?? {};
    this.#preparation.assume(this.#pod);
    for (const runner of this.#runners.values()) {
      const before = [...initContainerStatuses, ...containerStatuses];
      const status = before.find(({ name }) => name === runner.container.name);
      runner.adopt(status, () => this.#preparation.execPlace(this.#pod, runner.container));
    }
  }

  /**
   * Brings processes and status to what the pod asks for.
   *
   * @returns after how many milliseconds to look again; undefined where only a change can make work
   */
  async sync(): Promise<number | undefined> {
    const { metadata, status } = this.#pod;
    if (this.#released) return undefined;
    if (metadata.deletionTimestamp !== undefined) {
      await this.#endDeleted();
      return undefined;
    }
    if (this.#stopping || status?.phase === "Succeeded" || status?.phase === "Failed") return undefined;
    const apart = await this.#preparation.connect(this.#pod);
    if (apart !== undefined) this.#event("FailedCreatePodSandBox", `Failed to create pod sandbox: ${apart}`);
    const mounted = await this.#preparation.mount(this.#pod);
    if (mounted.kind === "failed") this.#event("FailedMount", `MountVolume.SetUp failed: ${mounted.message}`);
    else if (apart === undefined) await this.#start(this.#plan());
    const plan = this.#plan();
    if (plan.failure)
      this.#context.recorder.event(this.#pod, "Normal", plan.failure.reason, plan.failure.message);
    if (plan.outcome) await stopContainers(this.#all(), this.#graceMs(), this.#context.clock);
    this.#tellBackOff(plan);
    await this.#publish(plan);

    const now = this.#context.clock.now();
    const times = plan.held.map(({ until }) => until);
    const deadline = this.#deadline();
    if (deadline !== undefined && !plan.outcome) times.push(deadline);
    if (mounted.kind === "failed" || apart !== undefined) times.push(now + remountAfter);
    else if (mounted.renewAt !== undefined) times.push(mounted.renewAt);
    if (this.#anyStartFailed()) times.push(now + restartAfter);
    return times.length === 0 ? undefined : Math.max(0, Math.min(...times) - now) + 5;
  }

  /** Stops all containers: preStop, SIGTERM, at last SIGKILL. `onPurpose` keeps it from counting as a crash. */
  async stop(graceMs = this.#graceMs(), { onPurpose = false } = {}): Promise<void> {
    this.#stopping ??= stopContainers(this.#all(), graceMs, this.#context.clock, { onPurpose });
    await this.#stopping;
  }

  /** Writes the status as it is now. */
  async publish(): Promise<void> {
    await this.#publish(this.#plan());
  }

  /** Forgets the pod; its processes go on. */
  release(): void {
    this.#released = true;
    for (const runner of this.#runners.values()) runner.release();
  }

  async #endDeleted(): Promise<void> {
    const { name, namespace, uid, deletionGracePeriodSeconds } = this.#pod.metadata;
    if (!this.#stopping) {
      for (const { record, container } of this.#runners.values()) {
        if (record.situation.kind !== "running") continue;
        const message = `Stopping container ${container.name}`;
        this.#context.recorder.event(this.#pod, "Normal", "Killing", message);
      }
      const grace =
        deletionGracePeriodSeconds === undefined ? this.#graceMs() : deletionGracePeriodSeconds * 1000;
      this.#stopping = stopContainers(this.#all(), grace, this.#context.clock);
      // Not awaited here: meanwhile the queue goes on to publish what changes.
      void this.#stopping.then(() => {
        this.#ended = true;
        this.#changed();
      });
    }
    await this.#publish(this.#plan());
    if (!this.#ended) return;
    const options = { gracePeriodSeconds: 0, ...(uid === undefined ? {} : { uid }) };
    await this.#context.client.delete(PodKind, namespace, name, options);
  }

  async #start(plan: PodPlan): Promise<void> {
    await Promise.all(
      plan.start.map(async ({ name, backOff }) => {
        const runner = this.#runners.get(name);
        if (!runner) return;
        try {
          await this.#startContainer(runner, backOff);
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          const config = error instanceof ContainerConfigError;
          runner.wait(config ? "CreateContainerConfigError" : "CreateContainerError", message);
          this.#event("Failed", `Error: ${message}`);
        }
      }),
    );
  }

  async #startContainer(runner: ContainerRunner, backOff: number): Promise<void> {
    const prepared = this.#preparation.prepare(this.#pod, runner.container);
    if (prepared.kind === "start") return await runner.start({ ...prepared, backOff });
    const { situation } = runner.record;
    const again = situation.kind === "waiting" && /^(ErrImagePull|ImagePullBackOff)$/.test(situation.reason);
    if (!again) this.#event("Failed", prepared.message);
    runner.wait(again ? "ImagePullBackOff" : prepared.reason, prepared.message);
  }

  #anyStartFailed(): boolean {
    const failures = ["CreateContainerError", "CreateContainerConfigError"];
    return this.#all().some(
      ({ record: { situation } }) => situation.kind === "waiting" && failures.includes(situation.reason),
    );
  }

  /** Once an attempt, so that waiting is not told again with each look. */
  #tellBackOff({ held }: PodPlan): void {
    for (const { name } of held) {
      const attempt = this.#runners.get(name)?.record.attempt ?? -1;
      if (this.#toldBackOff.get(name) === attempt) continue;
      this.#toldBackOff.set(name, attempt);
      const { name: pod, namespace, uid } = this.#pod.metadata;
      this.#event(
        "BackOff",
        `Back-off restarting failed container ${name} in pod ${pod}_${namespace}(${uid})`,
      );
    }
  }

  #plan(): PodPlan {
    const { clock, backOff } = this.#context;
    const { spec } = this.#pod;
    if ((this.#deadline() ?? Number.POSITIVE_INFINITY) <= clock.now()) return deadlineExceeded;
    return spec ? planPod(spec, this.#records(), clock.now(), backOff) : { start: [], held: [] };
  }

  #deadline(): number | undefined {
    const { spec, status } = this.#pod;
    return spec && deadlineOf(spec, this.#published?.startTime ?? status?.startTime);
  }

  #records(): ReadonlyMap<string, ContainerRecord> {
    return new Map([...this.#runners].map(([name, { record }]) => [name, record]));
  }

  #all(): readonly ContainerRunner[] {
    return [...this.#runners.values()];
  }

  #graceMs(): number {
    return (this.#pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000;
  }

  #event(reason: string, message: string): void {
    this.#context.recorder.event(this.#pod, "Warning", reason, message);
  }

  async #publish(plan: Pick<PodPlan, "held" | "outcome" | "failure">): Promise<void> {
    const { client, clock, network } = this.#context;
    const { name, namespace, uid } = this.#pod.metadata;
    const status = podStatus({
      pod: this.#pod,
      records: this.#records(),
      plan,
      before: this.#published,
      podIp: this.#ip,
      hostIp: hostAddress(network.range),
      now: clock.now(),
    });
    if (isDeepStrictEqual(status, this.#published)) return;
    try {
      const body = { metadata: { uid }, status: statusPatch(status) };
      await client.patch(PodKind, namespace, name, { kind: "strategic", body }, "status");
      this.#published = status;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}
