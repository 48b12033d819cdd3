import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  PersistentVolumeClaimKind,
  PersistentVolumeKind,
} from "../../../api/core.ts";
import { createQueue } from "../../../kube/queue.ts";
import { type Controller, type ControllerContext, queueKey, splitKey } from "../context.ts";
import { isClaimedBy, volumeFor } from "./match.ts";

const bindCompleted = "pv.kubernetes.io/bind-completed";

/** Binds claims to volumes, and releases the volumes of claims that are gone. The caller has started the watches. */
export function startVolumeClaims(context: ControllerContext): Controller {
  const { client, informers, recorder, logger, clock } = context;
  // One at a time: two claims must not take the same volume.
  const queue = createQueue({ process: reconcile, logger, clock, concurrency: 1 });

  async function reconcile(key: string): Promise<void> {
    const [namespace, name] = splitKey(key);
    const snapshot = informers.snapshot();
    if (namespace === "") return reconcileVolume(snapshot.get(PersistentVolumeKind, undefined, name));
    const claim = snapshot.get(PersistentVolumeClaimKind, namespace, name);
    if (!claim || claim.status?.phase === "Bound" || claim.metadata.deletionTimestamp !== undefined) return;
    const volume = volumeFor(claim, snapshot.list(PersistentVolumeKind));
    if (volume) return bind(claim, volume);
    if (claim.spec?.storageClassName !== "") return;
    const message = "no persistent volumes available for this claim and no storage class is set";
    recorder.event(claim, "Normal", "FailedBinding", message);
  }

  async function bind(claim: PersistentVolumeClaim, volume: PersistentVolume): Promise<void> {
    const { namespace, name, uid, resourceVersion } = claim.metadata;
    const { name: volumeName } = volume.metadata;
    const claimRef = {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      namespace,
      name,
      uid,
      resourceVersion,
    };
    if (volume.spec?.claimRef?.uid === undefined) {
      // With the version that was read: a volume that somebody else took meanwhile is refused.
      const metadata = { resourceVersion: volume.metadata.resourceVersion };
      const body = { metadata, spec: { claimRef } };
      await client.patch(PersistentVolumeKind, undefined, volumeName, { kind: "merge", body });
    }
    await setPhase(volume, "Bound");
    const body = { metadata: { annotations: { [bindCompleted]: "yes" } }, spec: { volumeName } };
    await client.patch(PersistentVolumeClaimKind, namespace, name, { kind: "merge", body });
    const { accessModes, capacity } = volume.spec ?? {};
    const status = { phase: "Bound", accessModes, capacity };
    await client.patch(
      PersistentVolumeClaimKind,
      namespace,
      name,
      { kind: "merge", body: { status } },
      "status",
    );
  }

  async function reconcileVolume(volume: PersistentVolume | undefined): Promise<void> {
    if (!volume) return;
    const { claimRef } = volume.spec ?? {};
    if (!claimRef) return setPhase(volume, "Available");
    const snapshot = informers.snapshot();
    const claim = snapshot.get(PersistentVolumeClaimKind, claimRef.namespace, claimRef.name ?? "");
    if (claim && isClaimedBy(claimRef, claim)) queue.add(queueKey(claim));
    else if (volume.status?.phase === "Bound") await setPhase(volume, "Released");
  }

  async function setPhase({ metadata, status }: PersistentVolume, phase: string): Promise<void> {
    if (status?.phase === phase) return;
    const body = { status: { phase } };
    await client.patch(PersistentVolumeKind, undefined, metadata.name, { kind: "merge", body }, "status");
  }

  const stop = [
    informers.onChange(PersistentVolumeClaimKind, ({ kind, object }) => {
      queue.add(queueKey(object));
      if (kind === "deleted" && object.spec?.volumeName) queue.add(`/${object.spec.volumeName}`);
    }),
    informers.onChange(PersistentVolumeKind, ({ kind, object }) => {
      if (kind === "deleted") return;
      queue.add(`/${object.metadata.name}`);
      // A new volume may be what a claim waits for.
      if (kind !== "added" || object.spec?.claimRef) return;
      for (const claim of informers.snapshot().list(PersistentVolumeClaimKind)) queue.add(queueKey(claim));
    }),
  ];
  const now = informers.snapshot();
  for (const { metadata } of now.list(PersistentVolumeKind)) queue.add(`/${metadata.name}`);
  for (const claim of now.list(PersistentVolumeClaimKind)) queue.add(queueKey(claim));

  return {
    async close() {
      for (const end of stop) end();
      await queue.close();
    },
  };
}
