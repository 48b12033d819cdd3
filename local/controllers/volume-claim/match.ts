import type { PersistentVolume, PersistentVolumeClaim } from "../../../api/core.ts";
import { quantityNanos } from "../../apiserver/kinds/quantity.ts";
import { matches } from "../label-selector.ts";

/** The volume that a claim is or can be bound to: the one that names it, the one it names, else the smallest that fits. */
export function volumeFor(
  claim: PersistentVolumeClaim,
  volumes: readonly PersistentVolume[],
): PersistentVolume | undefined {
  const own = volumes.find(({ spec }) => isClaimedBy(spec?.claimRef, claim));
  if (own) return own;
  const { volumeName } = claim.spec ?? {};
  const free = volumes.filter(
    ({ spec, metadata }) => !spec?.claimRef && metadata.deletionTimestamp === undefined,
  );
  if (volumeName) return free.find(({ metadata }) => metadata.name === volumeName);
  return free
    .filter((volume) => fits(claim, volume))
    .sort((a, b) => (storage(a.spec?.capacity) < storage(b.spec?.capacity) ? -1 : 1))[0];
}

/** Whether a volume's claimRef means this claim: by uid where it has one. */
export function isClaimedBy(
  reference: NonNullable<PersistentVolume["spec"]>["claimRef"],
  { metadata }: PersistentVolumeClaim,
): boolean {
  if (!reference || reference.namespace !== metadata.namespace || reference.name !== metadata.name)
    return false;
  return !reference.uid || reference.uid === metadata.uid;
}

function fits({ spec: wanted }: PersistentVolumeClaim, { spec, metadata }: PersistentVolume): boolean {
  const modes = spec?.accessModes ?? [];
  return (
    (wanted?.storageClassName ?? "") === (spec?.storageClassName ?? "") &&
    (wanted?.volumeMode ?? "Filesystem") === (spec?.volumeMode ?? "Filesystem") &&
    (wanted?.accessModes ?? []).every((mode) => modes.includes(mode)) &&
    storage(wanted?.resources?.requests) <= storage(spec?.capacity) &&
    (!wanted?.selector || matches(wanted.selector, metadata.labels))
  );
}

function storage(quantities: Readonly<Record<string, string>> | undefined): bigint {
  return quantityNanos(quantities?.storage ?? "0") ?? 0n;
}
