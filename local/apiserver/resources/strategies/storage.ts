/** Volumes: stored and defaulted, so that manifests are taken; nothing provisions them. */
import { ensureObject, setDefault } from "../../json.ts";
import type { Strategy } from "../resource.ts";

export const claimStrategy: Strategy = {
  setDefaults: (claim) => setDefault(ensureObject(claim, "spec"), "volumeMode", "Filesystem"),
  prepareForCreate(claim) {
    claim.status = { phase: "Pending" };
    const finalizers = new Set([...(claim.metadata.finalizers ?? []), "kubernetes.io/pvc-protection"]);
    claim.metadata.finalizers = [...finalizers];
  },
  prepareForUpdate(claim, old) {
    claim.status = old.status;
  },
  answersDeleted: true,
  countsGeneration: false,
};

export const volumeStrategy: Strategy = {
  setDefaults(volume) {
    const spec = ensureObject(volume, "spec");
    setDefault(spec, "persistentVolumeReclaimPolicy", "Retain");
    setDefault(spec, "volumeMode", "Filesystem");
  },
  prepareForCreate(volume) {
    volume.status = { phase: "Pending" };
    const finalizers = new Set([...(volume.metadata.finalizers ?? []), "kubernetes.io/pv-protection"]);
    volume.metadata.finalizers = [...finalizers];
  },
  prepareForUpdate(volume, old) {
    volume.status = old.status;
  },
  answersDeleted: true,
  countsGeneration: false,
};

export const storageClassStrategy: Strategy = {
  setDefaults(storageClass) {
    setDefault(storageClass, "reclaimPolicy", "Delete");
    setDefault(storageClass, "volumeBindingMode", "Immediate");
  },
  answersDeleted: true,
  countsGeneration: false,
};
