import type { CanarySpec } from "../generated/canaries.ts";
import type { Report } from "./fields.ts";
import type { Provider } from "./types.ts";

/** Which API group each kind of target belongs to; a Service may also be Knative's. */
const groups: Readonly<Record<string, readonly string[]>> = {
  Deployment: ["apps"],
  DaemonSet: ["apps"],
  StatefulSet: ["apps"],
  Service: ["", "serving.knative.dev"],
};

/** Checks that target, scaler and provider go together. That the target exists is not checked: it may come later. */
export function checkTarget(
  { targetRef, autoscalerRef }: CanarySpec,
  provider: Provider,
  report: Report,
): void {
  if (targetRef.name === "") report("/spec/targetRef/name", "is empty, must name the workload");
  const group = targetRef.apiVersion.includes("/")
    ? targetRef.apiVersion.slice(0, targetRef.apiVersion.indexOf("/"))
    : "";
  const allowed = groups[targetRef.kind] ?? [];
  if (!allowed.includes(group)) {
    report(
      "/spec/targetRef/apiVersion",
      `is \`${targetRef.apiVersion}\`, a ${targetRef.kind} has ${targetRef.kind === "Service" ? "`v1` or `serving.knative.dev/v1`" : "`apps/v1`"}`,
    );
  }
  const knative = targetRef.kind === "Service" && group === "serving.knative.dev";
  if (knative !== (provider === "knative")) {
    report(
      "/spec/provider",
      knative
        ? `is \`${provider}\`, a Knative Service needs \`knative\``
        : "is `knative`, which needs a target of serving.knative.dev/v1",
    );
  }
  if (knative && autoscalerRef)
    report("/spec/autoscalerRef", "must be absent: Knative scales its Services itself");
  if (targetRef.kind === "Service" && !knative && autoscalerRef)
    report("/spec/autoscalerRef", "is ignored: a Service has no pods of its own", "warning");
  const { minReplicas, maxReplicas } = autoscalerRef?.primaryScalerReplicas ?? {};
  if (minReplicas !== undefined && maxReplicas !== undefined && minReplicas > maxReplicas) {
    report(
      "/spec/autoscalerRef/primaryScalerReplicas",
      `has minReplicas \`${minReplicas}\` above maxReplicas \`${maxReplicas}\``,
    );
  }
}
