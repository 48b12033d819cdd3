import { createHash } from "node:crypto";
import { type EndpointSlice, type Pod, type Service, ServiceKind } from "../../../api/core.ts";
import { controllerReference } from "../pod-facts.ts";
import { type Endpoint, endpointOf, isSelected } from "./endpoint.ts";
import { type EndpointPort, portsOf } from "./ports.ts";

/** Tells our slices from those that people write. */
export const managedBy = "endpointslice-controller.k8s.io";
export const serviceNameLabel = "kubernetes.io/service-name";
export const managedByLabel = "endpointslice.kubernetes.io/managed-by";
const headlessLabel = "service.kubernetes.io/headless";

/** Endpoints in one slice at most. */
const sliceSize = 100;

/**
 * The slices of a Service: one for each set of ports that its pods have, split at 100 endpoints; at least one.
 *
 * Names depend on nothing but the Service and the place in the list, so a round that changes nothing writes nothing.
 * A Service without selector has none: its slices are the user's.
 */
export function planSlices(service: Service, pods: readonly Pod[]): readonly EndpointSlice[] {
  const { spec, metadata } = service;
  if (spec?.type === "ExternalName" || Object.keys(spec?.selector ?? {}).length === 0) return [];
  if (metadata.deletionTimestamp !== undefined) return [];
  const groups = new Map<string, { ports: readonly EndpointPort[]; endpoints: Endpoint[] }>();
  for (const pod of pods.filter((candidate) => isSelected(service, candidate))) {
    const ports = portsOf(service, pod);
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    group.endpoints.push(endpointOf(service, pod));
    groups.set(key, group);
  }
  if (groups.size === 0) groups.set("", { ports: [], endpoints: [] });
  return [...groups].flatMap(([key, { ports, endpoints }]) => {
    const slices = Math.max(1, Math.ceil(endpoints.length / sliceSize));
    return Array.from({ length: slices }, (_, index) => {
      const part = endpoints.slice(index * sliceSize, (index + 1) * sliceSize);
      return sliceOf(service, groups.size === 1 ? String(index) : `${key}/${index}`, ports, part);
    });
  });
}

function sliceOf(
  service: Service,
  place: string,
  ports: readonly EndpointPort[],
  endpoints: readonly Endpoint[],
): EndpointSlice {
  const { name, namespace, uid = "", labels = {} } = service.metadata;
  const suffix = createHash("sha256").update(`${uid}/${place}`).digest("hex").slice(0, 5);
  const headless = service.spec?.clusterIP === "None" ? { [headlessLabel]: "" } : {};
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `${name}-${suffix}`,
      ...(namespace === undefined ? {} : { namespace }),
      labels: { ...labels, ...headless, [serviceNameLabel]: name, [managedByLabel]: managedBy },
      ownerReferences: [controllerReference(service, ServiceKind)],
    },
    addressType: "IPv4",
    endpoints,
    ports,
  };
}
