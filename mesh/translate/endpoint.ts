import type { EndpointSlice } from "../../api/core.ts";
import type { Endpoint, ServiceEndpoints } from "../model/endpoint.ts";
import type { Service } from "../model/service.ts";
import { factsOf, type Workload } from "../model/workload.ts";
import { keepEqualList, keepEqualMap } from "./keep-equal.ts";

export const serviceNameLabel = "kubernetes.io/service-name";

type KubeEndpoint = NonNullable<EndpointSlice["endpoints"]>[number];

/** Makes Endpoint values, the same object for the same content, so that unchanged lists are told by identity. */
export type InternEndpoint = (
  workload: Workload | undefined,
  namespace: string,
  address: string,
  port: number,
  cluster: string,
  zone: string | undefined,
) => Endpoint;

export function createEndpointInterner(): InternEndpoint {
  const ofWorkload = new WeakMap<Workload, Map<string, Endpoint>>();
  const ofAddress = new Map<string, WeakRef<Endpoint>>();
  return (workload, namespace, address, port, cluster, zone) => {
    const key = `${address} ${port} ${namespace} ${zone ?? ""}`;
    const known = workload === undefined ? ofAddress.get(key)?.deref() : ofWorkload.get(workload)?.get(key);
    if (known !== undefined) return known;
    const endpoint: Endpoint = {
      address,
      port,
      labels: workload?.labels ?? {},
      facts: workload?.facts ?? factsOf({}, { namespace, workload: "unknown", cluster }),
      identity: workload && { namespace: workload.namespace, serviceAccount: workload.serviceAccount },
      mutualTls: workload?.mutualTls ?? false,
      locality: workload?.locality ?? (zone ? { region: "", zone, subzone: "" } : undefined),
    };
    if (workload === undefined) ofAddress.set(key, new WeakRef(endpoint));
    else {
      const endpoints = ofWorkload.get(workload) ?? new Map<string, Endpoint>();
      ofWorkload.set(workload, endpoints.set(key, endpoint));
    }
    return endpoint;
  };
}

/**
 * The ready endpoints of a Service by its ports, from all of its slices.
 *
 * An endpoint without `conditions.ready` counts as ready; a terminating one is not ready, so new requests go elsewhere.
 *
 * @see discovery.v1.EndpointSlice endpoints[].conditions, ports[].name
 */
export function translateEndpoints(
  service: Service,
  slices: readonly EndpointSlice[],
  workloads: ReadonlyMap<string, Workload>,
  cluster: string,
  intern: InternEndpoint,
  before: ServiceEndpoints | undefined,
): ServiceEndpoints {
  const byPort = new Map<number, readonly Endpoint[]>();
  const identities = new Set<string>();
  const workloadOf = ({ targetRef }: KubeEndpoint) =>
    targetRef?.kind === "Pod"
      ? workloads.get(`${targetRef.namespace ?? service.namespace}/${targetRef.name}`)
      : undefined;
  for (const { endpoints } of slices) {
    // A slice of a Service without pods says `endpoints: null`.
    for (const endpoint of endpoints ?? []) {
      const workload = workloadOf(endpoint);
      if (workload !== undefined) identities.add(`${workload.namespace}/sa/${workload.serviceAccount}`);
    }
  }
  for (const { number, name } of service.ports) {
    const found = new Map<string, Endpoint>();
    for (const slice of slices) {
      const port = slice.ports?.find((candidate) => (candidate.name ?? "") === name)?.port;
      if (port === undefined) continue;
      for (const listed of slice.endpoints ?? []) {
        if (listed.conditions?.ready === false) continue;
        const workload = workloadOf(listed);
        for (const address of listed.addresses) {
          const endpoint = intern(workload, service.namespace, address, port, cluster, listed.zone);
          found.set(`${address} ${port}`, endpoint);
        }
      }
    }
    const endpoints = [...found.values()].sort((a, b) =>
      a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port,
    );
    byPort.set(number, keepEqualList(before?.byPort.get(number), endpoints));
  }
  const known = identities.size === 0 ? before?.identities : undefined;
  const after: ServiceEndpoints = {
    byPort: keepEqualMap(before?.byPort, byPort),
    identities: known ?? keepEqualList(before?.identities, [...identities].sort()),
  };
  return before !== undefined && after.byPort === before.byPort && after.identities === before.identities
    ? before
    : after;
}
