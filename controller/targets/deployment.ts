import { type Deployment, DeploymentKind } from "../../api/core.ts";
import type { JsonPatchOperation } from "../../kube/contract.ts";
import type { TargetKind } from "./kind.ts";
import { observePods } from "./pods.ts";
import { deploymentReadiness } from "./readiness.ts";

export const deployments: TargetKind<Deployment> = {
  kind: DeploymentKind,
  unusable: () => undefined,
  template: ({ spec }) => spec?.template,
  replicas: ({ spec }) => spec?.replicas ?? 1,
  scale: ({ spec }, replicas) => replicasOperation(spec?.replicas, replicas),
  rolloutFields({ spec }) {
    const { progressDeadlineSeconds, minReadySeconds, revisionHistoryLimit, strategy } = spec ?? {};
    return { progressDeadlineSeconds, minReadySeconds, revisionHistoryLimit, strategy };
  },
  firstFields: () => ({}),
  readiness: deploymentReadiness,
  pods: observePods,
};

/** Sets `spec.replicas`, where it is not that already. */
export function replicasOperation(
  present: number | undefined,
  wanted: number,
): readonly JsonPatchOperation[] {
  return present === wanted ? [] : [{ op: "add", path: "/spec/replicas", value: wanted }];
}
