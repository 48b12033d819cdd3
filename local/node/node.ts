import { join } from "node:path";
import {
  ConfigMapKind,
  PersistentVolumeClaimKind,
  PersistentVolumeKind,
  type Pod,
  PodKind,
  SecretKind,
} from "../../api/core.ts";
import type { Change, Client, Informers, Recorder } from "../../kube/contract.ts";
import { createQueue } from "../../kube/queue.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { hostAddress } from "./address.ts";
import { type BackOffLimits, kubeletBackOff } from "./back-off.ts";
import { bindPod, needsNode } from "./bind.ts";
import type { Images } from "./image.ts";
import { isPodAddress, type PodNetwork } from "./network/pod-network.ts";
import type { PodContext } from "./pod-context.ts";
import { PodFolders } from "./pod-folder.ts";
import { PodLogError, type PodLogOptions, podLog } from "./pod-log.ts";
import { PodWorker } from "./pod-worker.ts";
import { nodeObject, registerNode } from "./register.ts";
import { startMemoryLimits } from "./usage/memory-limits.ts";
import { UsageMeter } from "./usage/meter.ts";
import type { PodUsages } from "./usage/usage.ts";
import { startProvisioner } from "./volumes/provision.ts";
import { referencesOf } from "./volumes/references.ts";

export interface NodeOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly recorder: Recorder;
  readonly logger: Logger;
  readonly dataDir: string;
  /** The data path of its pods. */
  readonly network: PodNetwork;
  readonly images: Images;
  /** Image name, without tag, of the sidecar. Default `fairlead/proxy`. */
  readonly proxyImage?: string;
  /** Path of Envoy, for sidecars; default this process's `ENVOY_BIN`. */
  readonly envoy?: string | undefined;
  /** Name of the Node object. Default `fairlead`. */
  readonly name?: string;
  readonly clock?: Clock;
  readonly backOff?: BackOffLimits;
  /** Of the API server, for pods; default this node's address on 6443. */
  readonly apiServer?: URL;
  /** Where an API server that is not ours asks for logs. */
  readonly kubeletPort?: number;
  /** Only takes over what runs, so that it can be stopped: nothing is started and nothing watched. */
  readonly adoptOnly?: boolean;
}

export interface RunningNode {
  /**
   * The log of one container.
   *
   * @throws PodLogError at once, where there is none
   */
  podLog(namespace: string, name: string, options?: PodLogOptions): AsyncIterable<Buffer>;
  /** What the pods' containers use since the last call. */
  usages(): PodUsages;
  /** Stops looking after pods; their processes go on and are adopted by the next runner. */
  close(): Promise<void>;
  /** Ends every pod's processes, gracefully and then by force, and closes. The objects stay: the next runner starts them. */
  stopAll(): Promise<void>;
}

/**
 * Registers this machine as a node and runs its pods as processes.
 *
 * Pods of an earlier run are adopted; processes whose pod is gone are killed before anything is started.
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const { client, informers, recorder, logger, dataDir, network, images, clock = systemClock } = options;
  const { name = "fairlead", proxyImage = "fairlead/proxy", backOff = kubeletBackOff, envoy } = options;
  const { adoptOnly = false, apiServer = new URL(`https://${hostAddress(network.range)}:6443`) } = options;
  const snapshot = () => informers.snapshot();
  const machine = { network, apiServer, images, proxyImage, envoy };
  const context: PodContext = { client, recorder, logger, clock, ...machine, backOff, snapshot };
  await informers.watch(PodKind, ConfigMapKind, SecretKind, PersistentVolumeClaimKind, PersistentVolumeKind);
  const { kubeletPort } = options;
  const host = hostAddress(network.range);
  const facts = { name, address: host, now: new Date(clock.now()).toISOString() };
  await registerNode(client, nodeObject({ ...facts, ...(kubeletPort === undefined ? {} : { kubeletPort }) }));

  const folders = new PodFolders(dataDir, network.range);
  const pods = new Map<string, Pod>();
  const workers = new Map<string, PodWorker>();
  const queue = createQueue({ process: sync, logger, clock, concurrency: 16 });

  for (const pod of snapshot().list(PodKind)) pods.set(uidOf(pod), pod);
  for (const { uid, entry } of folders.all()) {
    const pod = pods.get(uid);
    // Under another network than before a pod gets another address, so it starts anew.
    const placed = entry === undefined || isPodAddress(network.range, entry.ip);
    if (pod?.spec?.nodeName === name && placed) {
      if (!network.find(folders.folder(uid))) folders.endProcesses(uid);
      makeWorker(pod).adopt();
      continue;
    }
    const killed = folders.remove(uid);
    if (killed > 0) logger.info({ uid, killed }, "killed what a pod that no longer exists had left");
  }

  function makeWorker(pod: Pod): PodWorker {
    const uid = uidOf(pod);
    const { namespace = "default", name: podName } = pod.metadata;
    const { ip } = folders.claim({ uid, namespace, name: podName });
    const worker = new PodWorker({
      context,
      pod,
      ip,
      folder: folders.folder(uid),
      changed: () => adoptOnly || queue.add(uid),
    });
    workers.set(uid, worker);
    return worker;
  }

  async function sync(uid: string): Promise<{ after: number } | undefined> {
    const pod = pods.get(uid);
    if (!pod) {
      await remove(uid);
      return undefined;
    }
    if (needsNode(pod)) await bindPod(client, recorder, pod, name);
    if (pod.spec?.nodeName !== name) return undefined;
    const worker = workers.get(uid) ?? (isOver(pod) ? undefined : makeWorker(pod));
    if (!worker) {
      // Ended before this runner came, without a folder: nothing to stop.
      if (pod.metadata.deletionTimestamp !== undefined) await deleteNow(pod);
      return undefined;
    }
    const after = await worker.sync();
    return after === undefined ? undefined : { after };
  }

  async function deleteNow({ metadata }: Pod): Promise<void> {
    const { uid } = metadata;
    const precondition = uid === undefined ? {} : { uid };
    await client.delete(PodKind, metadata.namespace, metadata.name, {
      gracePeriodSeconds: 0,
      ...precondition,
    });
  }

  /** The object is gone: after a graceful end nothing runs any more, after a forced deletion it ends now. */
  async function remove(uid: string): Promise<void> {
    const worker = workers.get(uid);
    if (!worker) return;
    await worker.stop(0);
    worker.release();
    workers.delete(uid);
    folders.remove(uid);
  }

  function onPod({ kind, object }: Change<Pod>): void {
    const uid = uidOf(object);
    if (kind === "deleted") pods.delete(uid);
    else pods.set(uid, object);
    if (kind !== "deleted") workers.get(uid)?.update(object);
    queue.add(uid);
  }

  function touchReaders(key: string, namespace: string | undefined): void {
    for (const [uid, { pod }] of workers) {
      if (pod.metadata.namespace === namespace && referencesOf(pod).has(key)) queue.add(uid);
    }
  }

  const watchAll = () => [
    informers.onChange(PodKind, onPod),
    informers.onChange(ConfigMapKind, ({ object: { metadata } }) =>
      touchReaders(`ConfigMap/${metadata.name}`, metadata.namespace),
    ),
    informers.onChange(SecretKind, ({ object: { metadata } }) =>
      touchReaders(`Secret/${metadata.name}`, metadata.namespace),
    ),
    informers.onChange(PersistentVolumeClaimKind, ({ object: { metadata } }) =>
      touchReaders(`PersistentVolumeClaim/${metadata.name}`, metadata.namespace),
    ),
  ];
  const stopWatching = adoptOnly ? [] : watchAll();
  const meter = new UsageMeter(clock, () =>
    [...workers].flatMap(([uid, worker]) => worker.sessions().map((container) => ({ uid, ...container }))),
  );
  const stopLimits = startMemoryLimits(clock, () =>
    [...workers.values()].flatMap((worker) => worker.memoryLimits()),
  );
  const volumes = { client, informers, recorder, logger, folder: join(dataDir, "volumes") };
  const provisioner = adoptOnly ? undefined : startProvisioner(volumes);
  if (!adoptOnly) for (const uid of pods.keys()) queue.add(uid);

  async function close(): Promise<void> {
    for (const stop of stopWatching) stop();
    stopLimits();
    await provisioner?.close();
    await queue.close();
    for (const worker of workers.values()) worker.release();
  }

  return {
    podLog(namespace, podName, logOptions = {}) {
      const pod = [...pods.values()].find(
        ({ metadata }) => metadata.namespace === namespace && metadata.name === podName,
      );
      if (!pod) throw new PodLogError(404, `pods "${podName}" not found`);
      return podLog(pod, folders.folder(uidOf(pod)), logOptions);
    },
    usages: () => meter.measure(),
    close,
    async stopAll() {
      for (const stop of stopWatching) stop();
      // A container that is just being started would outlive its runner: nothing is started from here on.
      await queue.close();
      const ends = [...workers.values()].map(async (worker) => {
        await worker.stop(undefined, { onPurpose: true });
        await worker
          .publish()
          .catch((error: unknown) => logger.warn({ err: error }, "cannot write a stopped pod's status"));
      });
      await Promise.all(ends);
      await close();
      for (const { uid } of folders.all()) network.detach(folders.folder(uid));
    },
  };
}

function uidOf({ metadata }: Pod): string {
  return metadata.uid ?? `${metadata.namespace}/${metadata.name}`;
}

function isOver({ status }: Pod): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}
