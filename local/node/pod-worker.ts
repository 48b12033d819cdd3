import { existsSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { ConfigMapKind, type Pod, PodKind, SecretKind } from "../../api/core.ts";
import type { Client, Recorder, Snapshot } from "../../kube/contract.ts";
import { isNotFound } from "../../kube/error.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { hostAddress } from "./address.ts";
import type { BackOffLimits } from "./back-off.ts";
import { baseEnvironment } from "./base-environment.ts";
import { type Container, type ContainerRecord, containersOf } from "./container.ts";
import { ContainerRunner, containerFolder } from "./container-runner.ts";
import { buildEnvironment, ContainerConfigError, type ObjectLookup } from "./environment.ts";
import { expand } from "./expansion.ts";
import { type Images, resolveCommand } from "./image.ts";
import { type PodPlan, planPod } from "./plan.ts";
import { type PodStatus, podStatus, statusPatch } from "./pod-status.ts";
import { stopContainers } from "./stop-containers.ts";
import { VolumeError, volumeContent } from "./volumes/content.ts";
import { mountsOf, resolvePath } from "./volumes/mounts.ts";
import { PodTokens } from "./volumes/tokens.ts";
import { writeVolume } from "./volumes/write.ts";

/** What every pod of this machine shares. */
export interface PodContext {
  readonly client: Client;
  readonly recorder: Recorder;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly subnet: number;
  readonly images: Images;
  readonly proxyImage: string;
  readonly backOff: BackOffLimits;
  snapshot(): Snapshot;
}

export interface PodWorkerOptions {
  readonly context: PodContext;
  readonly pod: Pod;
  readonly ip: string;
  /** `<data folder>/pods/<uid>` */
  readonly folder: string;
  /** Asks for another `sync`, at once. */
  changed(): void;
}

/** Keeps one pod's processes and status as its object asks. `sync` is called by one at a time. */
export class PodWorker {
  readonly folder: string;
  readonly ip: string;
  #pod: Pod;
  readonly #context: PodContext;
  readonly #changed: () => void;
  readonly #runners: ReadonlyMap<string, ContainerRunner>;
  readonly #tokens: PodTokens;
  readonly #volumeFolders = new Map<string, string>();
  #published: PodStatus | undefined;
  #stopping: Promise<void> | undefined;
  #ended = false;
  #released = false;

  constructor({ context, pod, ip, folder, changed }: PodWorkerOptions) {
    this.#context = context;
    this.#pod = pod;
    this.#changed = changed;
    this.ip = ip;
    this.folder = folder;
    this.#tokens = new PodTokens(context.client, context.clock);
    const containers = pod.spec ? containersOf(pod.spec) : [];
    this.#runners = new Map(
      containers.map(({ container, role }) => [
        container.name,
        new ContainerRunner({
          container,
          role,
          folder: containerFolder(folder, container.name),
          podIp: ip,
          clock: context.clock,
          recorder: context.recorder,
          pod: () => this.#pod,
          changed,
        }),
      ]),
    );
  }

  get pod(): Pod {
    return this.#pod;
  }

  update(pod: Pod): void {
    this.#pod = pod;
  }

  /** Takes over the processes that an earlier runner started for this pod. */
  adopt(): void {
    const before = [
      ...(this.#pod.status?.initContainerStatuses ?? []),
      ...(this.#pod.status?.containerStatuses ?? []),
    ];
    // The folders are where they were; what is in them is refreshed by the next sync.
    for (const { name, hostPath } of this.#pod.spec?.volumes ?? []) {
      this.#volumeFolders.set(name, hostPath?.path ?? join(this.folder, "volumes", name));
    }
    for (const runner of this.#runners.values()) {
      const status = before.find(({ name }) => name === runner.container.name);
      runner.adopt(status, () => this.#execPlace(runner.container));
    }
  }

  /**
   * Brings processes and status to what the pod asks for.
   *
   * @returns after how many milliseconds to look again; undefined where only a change can make work
   */
  async sync(): Promise<number | undefined> {
    if (this.#released) return undefined;
    if (this.#pod.metadata.deletionTimestamp !== undefined) {
      await this.#endDeleted();
      return undefined;
    }
    if (this.#stopping) return undefined;
    if (this.#pod.status?.phase === "Succeeded" || this.#pod.status?.phase === "Failed") return undefined;
    const renewAt = await this.#prepareVolumes();
    let plan = this.#plan();
    if (renewAt !== "unmounted") await this.#start(plan);
    plan = this.#plan();
    if (plan.outcome) await stopContainers([...this.#runners.values()], this.#graceMs(), this.#context.clock);
    await this.#publish(plan);
    const times = plan.held.map(({ until }) => until);
    if (typeof renewAt === "number") times.push(renewAt);
    const now = this.#context.clock.now();
    if (renewAt === "unmounted") times.push(now + 2000);
    if (this.#anyStartFailed()) times.push(now + 10_000);
    return times.length === 0 ? undefined : Math.max(0, Math.min(...times) - now) + 5;
  }

  #anyStartFailed(): boolean {
    const failures = ["CreateContainerError", "CreateContainerConfigError"];
    return [...this.#runners.values()].some(
      ({ record: { situation } }) => situation.kind === "waiting" && failures.includes(situation.reason),
    );
  }

  /** Stops all containers: preStop, SIGTERM, at last SIGKILL. `onPurpose` keeps it from counting as a crash. */
  async stop(graceMs = this.#graceMs(), { onPurpose = false } = {}): Promise<void> {
    this.#stopping ??= stopContainers([...this.#runners.values()], graceMs, this.#context.clock, {
      onPurpose,
    });
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
        this.#context.recorder.event(this.#pod, "Normal", "Killing", `Stopping container ${container.name}`);
      }
      const grace =
        deletionGracePeriodSeconds === undefined ? this.#graceMs() : deletionGracePeriodSeconds * 1000;
      this.#stopping = stopContainers([...this.#runners.values()], grace, this.#context.clock);
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

  #plan(): PodPlan {
    const { clock, backOff } = this.#context;
    const { spec } = this.#pod;
    return spec ? planPod(spec, this.#records(), clock.now(), backOff) : { start: [], held: [] };
  }

  #records(): ReadonlyMap<string, ContainerRecord> {
    return new Map([...this.#runners].map(([name, { record }]) => [name, record]));
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
          this.#context.recorder.event(this.#pod, "Warning", "Failed", `Error: ${message}`);
        }
      }),
    );
  }

  async #startContainer(runner: ContainerRunner, backOff: number): Promise<void> {
    const { container } = runner;
    const { environment, workingFolder } = this.#execPlace(container);
    const resolved = resolveCommand(container, this.#context.images, (text) => expand(text, environment));
    if (resolved.kind === "unavailable") {
      const { situation } = runner.record;
      const again =
        situation.kind === "waiting" && /^(ErrImagePull|ImagePullBackOff)$/.test(situation.reason);
      if (!again) this.#context.recorder.event(this.#pod, "Warning", "Failed", resolved.message);
      runner.wait(again ? "ImagePullBackOff" : resolved.reason, resolved.message);
      return;
    }
    if (!existsSync(workingFolder)) {
      throw new ContainerConfigError(`workingDir \`${workingFolder}\` does not exist on this machine`);
    }
    await runner.start({ command: resolved.command, environment, workingFolder, backOff });
  }

  /** Where a container's process, and what runs beside it, lives. */
  #execPlace(container: Container): { environment: ReadonlyMap<string, string>; workingFolder: string } {
    const { subnet, proxyImage } = this.#context;
    const mounts = mountsOf(container, this.#volumeFolders);
    const base = baseEnvironment({ pod: this.#pod, container, podIp: this.ip, subnet, mounts, proxyImage });
    const place = { podIp: this.ip, hostIp: hostAddress(subnet) };
    const environment = buildEnvironment({ pod: this.#pod, container, place, lookup: this.#lookup(), base });
    const { workingDir } = container;
    return { environment, workingFolder: workingDir ? resolvePath(workingDir, mounts) : process.cwd() };
  }

  /** Brings the volumes' files up to date; returns when tokens are due, or that a volume cannot be made yet. */
  async #prepareVolumes(): Promise<number | undefined | "unmounted"> {
    try {
      const renewAt = await this.#tokens.refresh(this.#pod);
      for (const volume of this.#pod.spec?.volumes ?? []) {
        const content = volumeContent(volume, {
          pod: this.#pod,
          place: { podIp: this.ip, hostIp: hostAddress(this.#context.subnet) },
          lookup: this.#lookup(),
          token: (audience, seconds) => this.#tokens.token(audience, seconds),
        });
        const folder = join(this.folder, "volumes", volume.name);
        this.#volumeFolders.set(volume.name, writeVolume(folder, content));
      }
      return renewAt;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (!(error instanceof VolumeError))
        this.#context.logger.warn(
          { err: error, pod: this.#pod.metadata.name },
          "cannot make a pod's volumes",
        );
      this.#context.recorder.event(
        this.#pod,
        "Warning",
        "FailedMount",
        `MountVolume.SetUp failed: ${message}`,
      );
      return "unmounted";
    }
  }

  #lookup(): ObjectLookup {
    const { namespace } = this.#pod.metadata;
    const snapshot = this.#context.snapshot();
    return {
      configMap: (name) => snapshot.get(ConfigMapKind, namespace, name),
      secret: (name) => snapshot.get(SecretKind, namespace, name),
    };
  }

  #graceMs(): number {
    return (this.#pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000;
  }

  async #publish(plan: Pick<PodPlan, "held" | "outcome">): Promise<void> {
    const { client, clock, subnet } = this.#context;
    const { name, namespace, uid } = this.#pod.metadata;
    const status = podStatus({
      pod: this.#pod,
      records: this.#records(),
      plan,
      before: this.#published,
      podIp: this.ip,
      hostIp: hostAddress(subnet),
      now: clock.now(),
    });
    if (isDeepStrictEqual(status, this.#published)) return;
    try {
      const body = { metadata: { uid }, status: statusPatch(status) };
      const written = await client.patch(PodKind, namespace, name, { kind: "strategic", body }, "status");
      this.#published = status;
      if (written.metadata.uid === uid) this.#pod = newerOf(this.#pod, written);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

/** The folder in which a data folder keeps a pod. */
export function podFolder(dataDir: string, uid: string): string {
  return join(dataDir, "pods", uid);
}

function newerOf(held: Pod, written: Pod): Pod {
  // A deletion that the watch told first must not be lost under an older answer.
  return held.metadata.deletionTimestamp !== undefined && written.metadata.deletionTimestamp === undefined
    ? held
    : written;
}
