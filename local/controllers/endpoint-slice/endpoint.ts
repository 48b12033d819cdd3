import type { EndpointSlice, Pod, Service } from "../../../api/core.ts";
import { isOver, isReady } from "../pod-facts.ts";
import { matchesLabels } from "../selector.ts";

export type Endpoint = NonNullable<EndpointSlice["endpoints"]>[number];

/** Whether the pod stands behind the Service: selected, with an address, and not over. */
export function isSelected({ spec }: Service, pod: Pod): boolean {
  const selector = spec?.selector;
  if (!selector || Object.keys(selector).length === 0) return false;
  return !!pod.status?.podIP && !isOver(pod) && matchesLabels(selector, pod.metadata.labels ?? {});
}

/**
 * A pod as an endpoint. A pod that is being deleted is at once not ready and terminating, but may still serve.
 *
 * @see EndpointConditions in discovery.k8s.io/v1
 */
export function endpointOf({ metadata: service, spec }: Service, pod: Pod): Endpoint {
  const { name, namespace = "", uid = "", deletionTimestamp } = pod.metadata;
  const terminating = deletionTimestamp !== undefined;
  const serving = isReady(pod);
  const { hostname, subdomain, nodeName } = pod.spec ?? {};
  return {
    addresses: [pod.status?.podIP ?? ""],
    conditions: {
      ready: spec?.publishNotReadyAddresses === true || (serving && !terminating),
      serving,
      terminating,
    },
    ...(hostname && subdomain === service.name ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    targetRef: { kind: "Pod", namespace, name, uid },
  };
}
