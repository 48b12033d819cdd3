import { type DaemonSet, DaemonSetKind, type PodTemplateSpec } from "../../api/core.ts";
import type { JsonPatchOperation } from "../../kube/contract.ts";
import type { TargetKind } from "./kind.ts";
import { observeOwnedPods } from "./pods.ts";
import { type Readiness, waiting } from "./readiness.ts";

/** A DaemonSet has no replicas: this node selector, which no node has, is its zero. As Flagger writes it. */
const scaledToZero = "flagger.app/scale-to-zero";
const selectorPath = "/spec/template/spec/nodeSelector";

const templates = new WeakMap<DaemonSet, PodTemplateSpec>();

export const daemonSets: TargetKind<DaemonSet> = {
  kind: DaemonSetKind,
  unusable: ({ spec }) =>
    spec?.updateStrategy?.type === "OnDelete"
      ? "spec.updateStrategy.type is `OnDelete`, must be `RollingUpdate`: its pods would never be updated"
      : undefined,
  template(workload) {
    const known = templates.get(workload);
    if (known !== undefined) return known;
    const template = withoutZero(workload.spec?.template);
    if (template !== undefined) templates.set(workload, template);
    return template;
  },
  replicas: (workload) => (isZero(workload) ? 0 : Math.max(workload.status?.desiredNumberScheduled ?? 1, 1)),
  scale(workload, replicas): readonly JsonPatchOperation[] {
    const selector = workload.spec?.template.spec?.nodeSelector;
    if ((replicas === 0) === isZero(workload)) return [];
    if (replicas === 0) {
      return [{ op: "add", path: selectorPath, value: { ...selector, [scaledToZero]: "true" } }];
    }
    const { [scaledToZero]: _zero, ...rest } = selector ?? {};
    return Object.keys(rest).length === 0
      ? [{ op: "remove", path: selectorPath }]
      : [{ op: "add", path: selectorPath, value: rest }];
  },
  rolloutFields({ spec }) {
    const { minReadySeconds, revisionHistoryLimit, updateStrategy } = spec ?? {};
    return { minReadySeconds, revisionHistoryLimit, updateStrategy };
  },
  firstFields: () => ({}),
  readiness({ metadata, status }, threshold): Readiness {
    const name = `daemonset "${metadata.name}"`;
    if ((status?.observedGeneration ?? 0) < (metadata.generation ?? 0))
      return waiting(name, "observed daemonset generation less than desired generation");
    const desired = status?.desiredNumberScheduled ?? 0;
    const updated = status?.updatedNumberScheduled ?? 0;
    const available = status?.numberAvailable ?? 0;
    if (updated < desired) return waiting(name, `${updated} out of ${desired} new pods have been updated`);
    const needed = Math.floor((desired * threshold) / 100);
    if (available < needed) return waiting(name, `${available} of ${desired} updated pods are available`);
    return { kind: "ready" };
  },
  pods: (workload, snapshot) => observeOwnedPods(workload, undefined, snapshot),
};

function isZero({ spec }: DaemonSet): boolean {
  return spec?.template.spec?.nodeSelector?.[scaledToZero] !== undefined;
}

/** What the user wrote: the zero is none of it. */
function withoutZero(template: PodTemplateSpec | undefined): PodTemplateSpec | undefined {
  const { nodeSelector, ...spec } = template?.spec ?? { containers: [] };
  if (template === undefined || nodeSelector?.[scaledToZero] === undefined) return template;
  const { [scaledToZero]: _zero, ...rest } = nodeSelector;
  return {
    ...template,
    spec: { ...spec, ...(Object.keys(rest).length > 0 && { nodeSelector: rest }) },
  };
}
