import { CanaryKind } from "../api/kinds.ts";
import type { Snapshot } from "../kube/contract.ts";
import type { Workload } from "../policy/compile/select.ts";
import { gatewayClassLabel } from "./gateway-api/deployment.ts";
import { gatewayNameLabel } from "./translate/gateway-api/listeners.ts";

/** Labels by one of which a Canary tells its primary from its target. */
const selectorLabels = ["app", "name", "app.kubernetes.io/name"];
const suffix = "-primary";

/**
 * Whom policies are looked up for. A workload that a Canary generated counts under its target's labels as well, so that a
 * release opens no door.
 *
 * @param workload `name` is that of the Deployment (or other workload) that made the pods
 */
export function policyWorkload(
  snapshot: Snapshot,
  workload: {
    readonly namespace: string;
    readonly name: string | undefined;
    readonly labels: Readonly<Record<string, string>>;
  },
): Workload {
  const { namespace, name, labels } = workload;
  const generated = snapshot
    .list(CanaryKind, namespace)
    .some(({ spec }) => `${spec.targetRef.name}${suffix}` === name);
  return { namespace, labels, ...(generated ? { targetLabels: targetLabels(labels) } : {}) };
}

/** What `targetRefs` may name: the Gateway API's Gateway that a pod was deployed for, and its class; empty for others. */
export function gatewayOf(labels: Readonly<Record<string, string>>): Pick<Workload, "gateway"> {
  const name = labels[gatewayNameLabel];
  const className = labels[gatewayClassLabel];
  return name === undefined ? {} : { gateway: { name, ...(className !== undefined && { className }) } };
}

/** A generated workload's labels as its target has them. */
function targetLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  const changed = Object.entries(labels).map(([name, value]) => [
    name,
    selectorLabels.includes(name) && value.endsWith(suffix) ? value.slice(0, -suffix.length) : value,
  ]);
  return Object.fromEntries(changed);
}
