import type { DaemonSet, Node, Pod } from "../../../api/core.ts";

type Spec = NonNullable<Pod["spec"]>;
type Toleration = NonNullable<Spec["tolerations"]>[number];
type Taint = NonNullable<NonNullable<Node["spec"]>["taints"]>[number];

/** What a daemon's pods tolerate beside their template's own, as Kubernetes' controller adds it. */
export const daemonTolerations: readonly Toleration[] = [
  ...["not-ready", "unreachable"].map((name) => ({
    key: `node.kubernetes.io/${name}`,
    operator: "Exists",
    effect: "NoExecute",
  })),
  ...["disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"].map((name) => ({
    key: `node.kubernetes.io/${name}`,
    operator: "Exists",
    effect: "NoSchedule",
  })),
];

/** Whether a DaemonSet's pod belongs on a node: its nodeSelector picks it and its taints are tolerated. */
export function belongsOn({ spec }: DaemonSet, node: Node): boolean {
  const { nodeSelector = {}, nodeName, tolerations = [] } = spec?.template.spec ?? {};
  if (nodeName && nodeName !== node.metadata.name) return false;
  const labels = node.metadata.labels ?? {};
  if (!Object.entries(nodeSelector).every(([key, value]) => labels[key] === value)) return false;
  const all = [...tolerations, ...daemonTolerations];
  return (node.spec?.taints ?? []).every(
    (taint) => taint.effect === "PreferNoSchedule" || all.some((toleration) => tolerates(toleration, taint)),
  );
}

/** @see Toleration in the core/v1 API */
function tolerates({ key, operator = "Equal", value = "", effect }: Toleration, taint: Taint): boolean {
  if (effect && effect !== taint.effect) return false;
  if (key && key !== taint.key) return false;
  return operator === "Exists" || (key !== undefined && value === (taint.value ?? ""));
}

/** The node that a daemon's pod is on, or meant for while it waits to be bound. */
export function nodeOf({ spec }: Pod): string {
  if (spec?.nodeName) return spec.nodeName;
  const terms =
    spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const fields = terms.flatMap(({ matchFields = [] }) => matchFields);
  return fields.find(({ key }) => key === "metadata.name")?.values?.[0] ?? "";
}
