import type { Pod } from "../../api/core.ts";
import type { ObjectMeta } from "../../api/resource.ts";
import type { WorkloadFacts } from "./issue.ts";

/**
 * What the CA and the injector call a pod's workload: the owner that a person made.
 *
 * A ReplicaSet of a Deployment is the Deployment's name and the pod's `pod-template-hash`; a Job of a CronJob ends
 * in the scheduled minute. A pod without an owner is its own workload.
 */
export function workloadName({ name, generateName, labels, ownerReferences }: Partial<ObjectMeta>): string {
  const owner = ownerReferences?.find(({ controller }) => controller) ?? ownerReferences?.[0];
  if (!owner) return name || (generateName ?? "").replace(/-$/, "");
  const hash = labels?.["pod-template-hash"];
  if (owner.kind === "ReplicaSet" && hash && owner.name.endsWith(`-${hash}`)) {
    return owner.name.slice(0, -hash.length - 1);
  }
  return owner.kind === "Job" ? owner.name.replace(/-\d{8,}$/, "") : owner.name;
}

/** `app` and `version` by Istio's rule: the recommended label first, then the short one. */
export function workloadFacts({ metadata }: Pick<Pod, "metadata">): WorkloadFacts {
  const labels = metadata.labels ?? {};
  const app = labels["app.kubernetes.io/name"] || labels.app;
  const version = labels["app.kubernetes.io/version"] || labels.version;
  return { workload: workloadName(metadata), ...(app ? { app } : {}), ...(version ? { version } : {}) };
}
