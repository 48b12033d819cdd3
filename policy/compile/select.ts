import type { KubeObject } from "../../api/resource.ts";

/** Whom policies are looked up for. */
export interface Workload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /**
   * Labels of the workload that a Canary generated this one from, where it did. Such a workload stays under
   * every policy that selects its target: its own `app` label differs, and a release must open no door.
   */
  readonly targetLabels?: Readonly<Record<string, string>>;
  /** Set where it is a gateway: what `targetRefs` may name. */
  readonly gateway?: { readonly name: string; readonly className?: string };
}

interface TargetRef {
  readonly group?: string;
  readonly kind: string;
  readonly name: string;
}

interface Selecting extends KubeObject {
  readonly spec?: {
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly targetRef?: TargetRef;
    readonly targetRefs?: readonly TargetRef[];
  };
}

/** The policies of a kind that are in force at a workload: its namespace's and the root namespace's. */
export function selectFor<T extends Selecting>(
  policies: readonly T[],
  workload: Workload,
  rootNamespace: string,
): T[] {
  return policies.filter((policy) => selects(policy, workload, rootNamespace));
}

/** Whether one policy is in force at a workload. */
export function selects(policy: Selecting, workload: Workload, rootNamespace: string): boolean {
  const { metadata, spec } = policy;
  if (metadata.namespace !== workload.namespace && metadata.namespace !== rootNamespace) return false;
  const targets = targetsOf(policy);
  if (targets.length > 0) {
    const { gateway } = workload;
    if (gateway === undefined) return false;
    return targets.some(
      ({ kind, name }) =>
        (kind === "Gateway" && name === gateway.name && metadata.namespace === workload.namespace) ||
        (kind === "GatewayClass" && name === gateway.className && metadata.namespace === rootNamespace),
    );
  }
  const wanted = spec?.selector?.matchLabels;
  // What is no map of labels cannot leave a workload out: the policy counts for all.
  if (wanted === undefined || wanted === null || typeof wanted !== "object") return true;
  return [workload.labels, workload.targetLabels].some(
    (labels) => labels !== undefined && covers(wanted, labels),
  );
}

/** What a policy's `targetRef` and `targetRefs` name. */
export function targetsOf({ spec }: Selecting): readonly TargetRef[] {
  const several: unknown = spec?.targetRefs ?? [];
  return [
    ...(spec?.targetRef ? [spec.targetRef] : []),
    ...(Array.isArray(several) ? (several as readonly TargetRef[]) : []),
  ];
}

function covers(wanted: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(
    ([name, value]) => Object.hasOwn(labels, name) && labels[name] === value,
  );
}
