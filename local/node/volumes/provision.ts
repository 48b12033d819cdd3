import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  PersistentVolumeClaimKind,
  PersistentVolumeKind,
} from "../../../api/core.ts";
import type { Client, Informers, Recorder } from "../../../kube/contract.ts";
import { isAlreadyExists } from "../../../kube/error.ts";
import { createQueue, type Queue } from "../../../kube/queue.ts";
import type { Logger } from "../../../lib/log.ts";

const provisionedBy = "pv.kubernetes.io/provisioned-by";
const provisioner = "fairlead.dev/folder";

export interface ProvisionerOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly recorder: Recorder;
  readonly logger: Logger;
  /** Where the volumes' folders are made. */
  readonly folder: string;
}

/**
 * Gives each PersistentVolumeClaim that waits for a volume a folder of this machine, and removes it when the volume is
 * released. Whoever binds claims (our controllers, or a kube-controller-manager) binds the two.
 *
 * A claim with `storageClassName: ""` asks for a volume that somebody else made. The caller has started the watches.
 */
export function startProvisioner(options: ProvisionerOptions): { close(): Promise<void> } {
  const { client, informers, recorder, logger, folder } = options;
  const queue: Queue = createQueue({ process, logger, concurrency: 1 });

  async function process(key: string): Promise<void> {
    const slash = key.indexOf("/");
    const [namespace, name] = [key.slice(0, slash), key.slice(slash + 1)];
    const snapshot = informers.snapshot();
    if (namespace === "") {
      const volume = snapshot.get(PersistentVolumeKind, undefined, name);
      if (volume && isReleased(volume)) await remove(volume);
      return;
    }
    const claim = snapshot.get(PersistentVolumeClaimKind, namespace, name);
    if (claim && isWaiting(claim)) await provision(claim);
  }

  async function provision(claim: PersistentVolumeClaim): Promise<void> {
    const volume = volumeOf(claim, folder);
    mkdirSync(volume.spec?.hostPath?.path ?? folder, { recursive: true });
    try {
      await client.create(PersistentVolumeKind, volume);
    } catch (error) {
      if (isAlreadyExists(error)) return;
      throw error;
    }
    const message = `Successfully provisioned volume ${volume.metadata.name}`;
    recorder.event(claim, "Normal", "ProvisioningSucceeded", message);
  }

  async function remove({ metadata, spec }: PersistentVolume): Promise<void> {
    const path = spec?.hostPath?.path;
    // Only what is ours: the path stands in an object that others may write.
    if (path?.startsWith(`${folder}/`)) rmSync(path, { recursive: true, force: true });
    await client.delete(PersistentVolumeKind, undefined, metadata.name);
  }

  const stop = [
    informers.onChange(PersistentVolumeClaimKind, ({ object: { metadata } }) =>
      queue.add(`${metadata.namespace}/${metadata.name}`),
    ),
    informers.onChange(PersistentVolumeKind, ({ object }) => queue.add(`/${object.metadata.name}`)),
  ];
  const now = informers.snapshot();
  for (const { metadata } of now.list(PersistentVolumeClaimKind))
    queue.add(`${metadata.namespace}/${metadata.name}`);
  for (const { metadata } of now.list(PersistentVolumeKind)) queue.add(`/${metadata.name}`);

  return {
    async close() {
      for (const end of stop) end();
      await queue.close();
    },
  };
}

function isWaiting({ metadata, spec, status }: PersistentVolumeClaim): boolean {
  if (metadata.deletionTimestamp !== undefined || status?.phase === "Bound") return false;
  return !spec?.volumeName && spec?.storageClassName !== "";
}

function isReleased({ metadata, spec, status }: PersistentVolume): boolean {
  const ours = metadata.annotations?.[provisionedBy] === provisioner;
  return ours && status?.phase === "Released" && spec?.persistentVolumeReclaimPolicy === "Delete";
}

function volumeOf({ metadata, spec }: PersistentVolumeClaim, folder: string): PersistentVolume {
  const { namespace = "default", name, uid = "" } = metadata;
  const volumeName = `pvc-${uid}`;
  const { accessModes, volumeMode, storageClassName, resources } = spec ?? {};
  return {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: volumeName, annotations: { [provisionedBy]: provisioner } },
    spec: {
      capacity: { storage: resources?.requests?.storage ?? "1Gi" },
      ...(accessModes === undefined ? {} : { accessModes }),
      ...(volumeMode === undefined ? {} : { volumeMode }),
      ...(storageClassName === undefined ? {} : { storageClassName }),
      claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace, name, uid },
      persistentVolumeReclaimPolicy: "Delete",
      hostPath: { path: join(folder, volumeName), type: "DirectoryOrCreate" },
    },
  };
}
