import { type StatefulSet, StatefulSetKind } from "../../api/core.ts";
import { replicasOperation } from "./deployment.ts";
import type { TargetKind } from "./kind.ts";
import { observeOwnedPods } from "./pods.ts";
import { type Readiness, waiting } from "./readiness.ts";

/** A StatefulSet's primary has claims of its own: what the target's pods have stored stays with the target's. */
export const statefulSets: TargetKind<StatefulSet> = {
  kind: StatefulSetKind,
  unusable: ({ spec }) =>
    spec?.updateStrategy?.type === "OnDelete"
      ? "spec.updateStrategy.type is `OnDelete`, must be `RollingUpdate`: its pods would never be updated"
      : undefined,
  template: ({ spec }) => spec?.template,
  replicas: ({ spec }) => spec?.replicas ?? 1,
  scale: ({ spec }, replicas) => replicasOperation(spec?.replicas, replicas),
  rolloutFields({ spec }) {
    const { minReadySeconds, updateStrategy, persistentVolumeClaimRetentionPolicy } = spec ?? {};
    return { minReadySeconds, updateStrategy, persistentVolumeClaimRetentionPolicy };
  },
  firstFields({ spec }, service) {
    const { podManagementPolicy, revisionHistoryLimit, volumeClaimTemplates } = spec ?? {};
    return { podManagementPolicy, revisionHistoryLimit, volumeClaimTemplates, serviceName: service };
  },
  readiness({ metadata, spec, status }, threshold): Readiness {
    const name = `statefulset "${metadata.name}"`;
    if ((status?.observedGeneration ?? 0) < (metadata.generation ?? 0))
      return waiting(name, "observed statefulset generation less than desired generation");
    const desired = spec?.replicas ?? 1;
    const updated = status?.updatedReplicas ?? 0;
    const available = status?.availableReplicas ?? status?.readyReplicas ?? 0;
    if (updated < desired)
      return waiting(name, `${updated} out of ${desired} new replicas have been updated`);
    if ((status?.replicas ?? 0) > desired)
      return waiting(name, `${(status?.replicas ?? 0) - desired} old replicas are pending termination`);
    const needed = Math.floor((desired * threshold) / 100);
    if (available < needed) return waiting(name, `${available} of ${desired} updated replicas are available`);
    return { kind: "ready" };
  },
  pods: (workload, snapshot) => observeOwnedPods(workload, workload.status?.updateRevision, snapshot),
};
