import { type EndpointSlice, EndpointSliceKind } from "../../api/core.ts";
import type { Snapshot } from "../../kube/contract.ts";
import type { ServiceEndpoints } from "../model/endpoint.ts";
import { serviceHost } from "../model/names.ts";
import type { Service } from "../model/service.ts";
import { changedKeys, SharedMap } from "../model/shared-map.ts";
import type { Workload } from "../model/workload.ts";
import { type Changes, changedObjects } from "./changes.ts";
import { createEndpointInterner, serviceNameLabel, translateEndpoints } from "./endpoint.ts";

/** A slice, whose Service it is and which pods it names. */
interface Indexed {
  readonly slice: EndpointSlice;
  readonly service: string;
  readonly pods: readonly string[];
}

/**
 * Makes the function that keeps what is behind every Service: looks again at the Services of which a slice, a pod or the
 * Service itself has changed, and at no others.
 *
 * @param domain of Services' hosts
 * @param cluster id of the Kubernetes cluster, for metrics
 */
export function createEndpointIndex(domain: string, cluster: string) {
  const intern = createEndpointInterner();
  const slices = new Map<string, Indexed>();
  const ofService = new Map<string, Set<string>>();
  const ofPod = new Map<string, Set<string>>();
  let endpoints = SharedMap.of<ServiceEndpoints>();
  let servicesBefore: SharedMap<Service> | undefined;
  let workloadsBefore: SharedMap<Workload> | undefined;

  function place(key: string, slice: EndpointSlice | undefined): readonly string[] {
    const before = slices.get(key);
    if (before !== undefined) {
      slices.delete(key);
      removeFrom(ofService, before.service, key);
      for (const pod of before.pods) removeFrom(ofPod, pod, key);
    }
    if (slice === undefined) return before === undefined ? [] : [before.service];
    const { namespace = "", labels } = slice.metadata;
    const service = `${namespace}/${labels?.[serviceNameLabel] ?? ""}`;
    const pods = (slice.endpoints ?? []).flatMap(({ targetRef }) =>
      targetRef?.kind === "Pod" ? [`${targetRef.namespace ?? namespace}/${targetRef.name}`] : [],
    );
    slices.set(key, { slice, service, pods });
    addTo(ofService, service, key);
    for (const pod of pods) addTo(ofPod, pod, key);
    return before === undefined || before.service === service ? [service] : [before.service, service];
  }

  return (
    snapshot: Snapshot,
    changes: Changes | undefined,
    services: SharedMap<Service>,
    workloads: SharedMap<Workload>,
  ): SharedMap<ServiceEndpoints> => {
    const stale = new Set<string>();
    const found = new Set<string>();
    for (const [key, slice] of changedObjects(snapshot, EndpointSliceKind, changes)) {
      found.add(key);
      if (slice !== undefined && slices.get(key)?.slice === slice) continue;
      for (const service of place(key, slice)) stale.add(service);
    }
    if (changes === undefined) {
      for (const key of [...slices.keys()])
        if (!found.has(key)) for (const service of place(key, undefined)) stale.add(service);
    }
    for (const pod of changedKeys(workloadsBefore, workloads)) {
      for (const slice of ofPod.get(pod) ?? []) stale.add(slices.get(slice)?.service ?? "");
    }
    const hosts = new Set(changedKeys(servicesBefore, services));
    for (const key of stale) {
      const [namespace = "", name = ""] = key.split("/");
      hosts.add(serviceHost(name, namespace, domain));
    }
    const updates = Array.from(hosts, (host): [string, ServiceEndpoints | undefined] => {
      const service = services.get(host);
      if (service === undefined) return [host, undefined];
      const own = [...(ofService.get(`${service.namespace}/${service.name}`) ?? [])].sort();
      const listed = own.flatMap((key) => slices.get(key)?.slice ?? []);
      return [host, translateEndpoints(service, listed, workloads, cluster, intern, endpoints.get(host))];
    });
    servicesBefore = services;
    workloadsBefore = workloads;
    endpoints = endpoints.with(updates);
    return endpoints;
  };
}

function addTo(index: Map<string, Set<string>>, key: string, value: string): void {
  const values = index.get(key) ?? new Set();
  index.set(key, values.add(value));
}

function removeFrom(index: Map<string, Set<string>>, key: string, value: string): void {
  const values = index.get(key);
  values?.delete(value);
  if (values?.size === 0) index.delete(key);
}
