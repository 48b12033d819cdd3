import type { HorizontalPodAutoscaler, Pod } from "../../../api/core.ts";
import { parseQuantity } from "../../node/quantity.ts";
import type { PodUsages } from "../../node/usage/usage.ts";
import { isOver, isReady } from "../pod-facts.ts";
import { type MeasuredPod, type Proposal, proposeReplicas, type Target } from "./replicas.ts";

type MetricSpec = NonNullable<NonNullable<HorizontalPodAutoscaler["spec"]>["metrics"]>[number];
export type MetricStatus = NonNullable<
  NonNullable<HorizontalPodAutoscaler["status"]>["currentMetrics"]
>[number];

/** Within this time after its start a pod's use counts only once it is ready and was measured whole after that. */
const initializationPeriod = 300_000;
const initialReadinessDelay = 30_000;

/** What one metric says, or why it says nothing: `reason` is for the condition and the event. */
export type MetricAnswer =
  | {
      readonly kind: "proposal";
      readonly proposal: Proposal;
      readonly name: string;
      readonly status: MetricStatus;
    }
  | { readonly kind: "failed"; readonly reason: string; readonly message: string };

export interface MetricInput {
  readonly metric: MetricSpec;
  /** Those that the target's selector picks. */
  readonly pods: readonly Pod[];
  readonly usages: PodUsages;
  readonly current: number;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** Reads a Resource or ContainerResource metric of cpu or memory; other kinds have no source on this machine. */
export function readMetric({ metric, pods, usages, current, now }: MetricInput): MetricAnswer {
  const source = metric.type === "Resource" ? metric.resource : metric.containerResource;
  const container = metric.type === "ContainerResource" ? metric.containerResource?.container : undefined;
  if (!source || (metric.type !== "Resource" && metric.type !== "ContainerResource")) {
    const message = `metrics of type ${metric.type} have no source on this machine: use Resource or ContainerResource`;
    return { kind: "failed", reason: `FailedGet${metric.type}Metric`, message };
  }
  const { name, target } = source;
  const failed = (message: string): MetricAnswer => ({
    kind: "failed",
    reason: `FailedGet${metric.type}Metric`,
    message: `failed to get ${name} ${target.type === "Utilization" ? "utilization" : "usage"}: ${message}`,
  });
  if (name !== "cpu" && name !== "memory") return failed(`resource ${name} is not measured here`);
  const wanted = targetOf(target);
  if (!wanted) return failed("the target has neither averageUtilization nor averageValue");
  const active = pods.filter((pod) => pod.metadata.deletionTimestamp === undefined && !isOver(pod));
  if (wanted.kind === "utilization") {
    const without = withoutRequest(active, name, container);
    if (without) return failed(without);
  }
  const measured = active.map((pod) => measure(pod, { name, container, usages, now }));
  const proposal = proposeReplicas(measured, wanted, current);
  if (!proposal) return failed("did not receive metrics for targeted pods (pods might be unready)");
  const averageValue = printQuantity(proposal.average, name);
  const averageUtilization =
    wanted.kind === "utilization" ? { averageUtilization: Math.floor(proposal.utilization * 100) } : {};
  const held = { name, current: { averageValue, ...averageUtilization } };
  const unit = wanted.kind === "utilization" ? "utilization (percentage of request)" : "";
  return {
    kind: "proposal",
    proposal,
    name: [name, container === undefined ? "resource" : "container resource", unit].filter(Boolean).join(" "),
    status:
      container === undefined
        ? { type: "Resource", resource: held }
        : { type: "ContainerResource", containerResource: { ...held, container } },
  };
}

type MetricTarget = NonNullable<MetricSpec["resource"]>["target"];

function targetOf({ averageUtilization, averageValue }: MetricTarget): Target | undefined {
  if (averageUtilization !== undefined) return { kind: "utilization", share: averageUtilization / 100 };
  const amount = averageValue === undefined ? undefined : parseQuantity(averageValue);
  return amount ? { kind: "average-value", amount } : undefined;
}

interface Measurement {
  readonly name: "cpu" | "memory";
  readonly container: string | undefined;
  readonly usages: PodUsages;
  readonly now: number;
}

function measure(pod: Pod, { name, container, usages, now }: Measurement): MeasuredPod {
  const found = [...(usages.get(pod.metadata.uid ?? "") ?? [])].filter(
    ([key]) => container === undefined || key === container,
  );
  const usage =
    found.length === 0
      ? undefined
      : found.reduce((sum, [, { cores, memoryBytes }]) => sum + (name === "cpu" ? cores : memoryBytes), 0);
  const begun = Math.min(...found.map(([, { at, window }]) => at - window));
  return { usage, request: requestOf(pod, name, container) ?? 0, unready: isUnready(pod, name, begun, now) };
}

/** @see groupPods of kube-controller-manager's replica calculator; only CPU is distorted by a start */
function isUnready(pod: Pod, name: string, measuredFrom: number, now: number): boolean {
  if (pod.status?.phase === "Pending") return true;
  if (name !== "cpu") return false;
  const ready = pod.status?.conditions?.find(({ type }) => type === "Ready");
  const started = Date.parse(pod.status?.startTime ?? "");
  const changed = Date.parse(ready?.lastTransitionTime ?? "");
  if (!ready || Number.isNaN(started)) return true;
  if (now < started + initializationPeriod) return !isReady(pod) || measuredFrom < changed;
  return !isReady(pod) && started + initialReadinessDelay > changed;
}

/** Containers and native sidecars: what a pod asks for while it runs. */
function runningContainers({ spec }: Pod) {
  const sidecars = (spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  return [...(spec?.containers ?? []), ...sidecars];
}

function requestOf(pod: Pod, name: string, container: string | undefined): number | undefined {
  const containers = runningContainers(pod).filter(
    (one) => container === undefined || one.name === container,
  );
  const requests = containers.map(({ resources }) => parseQuantity(resources?.requests?.[name] ?? ""));
  const known = requests.filter((request) => request !== undefined);
  return known.length < requests.length ? undefined : known.reduce((sum, request) => sum + request, 0);
}

function withoutRequest(
  pods: readonly Pod[],
  name: string,
  container: string | undefined,
): string | undefined {
  const pod = pods.find((one) => requestOf(one, name, container) === undefined);
  if (!pod) return undefined;
  const lacking = runningContainers(pod).find(
    (one) =>
      (container === undefined || one.name === container) && one.resources?.requests?.[name] === undefined,
  );
  return `missing request for ${name} in container ${lacking?.name} of Pod ${pod.metadata.name}`;
}

function printQuantity(value: number, name: "cpu" | "memory"): string {
  return name === "cpu" ? `${Math.ceil(value * 1000)}m` : String(Math.ceil(value));
}
