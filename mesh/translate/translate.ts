import {
  type EndpointSlice,
  EndpointSliceKind,
  type Service as KubeService,
  PodKind,
  ServiceKind,
} from "../../api/core.ts";
import {
  type DestinationRule,
  DestinationRuleKind,
  PeerAuthenticationKind,
  type VirtualService,
  VirtualServiceKind,
} from "../../api/kinds.ts";
import type { Kind, KubeObject, Problem } from "../../api/resource.ts";
import type { Snapshot } from "../../kube/contract.ts";
import type { ServiceEndpoints } from "../model/endpoint.ts";
import type { MeshSettings, Model } from "../model/model.ts";
import type { Service } from "../model/service.ts";
import type { Workload } from "../model/workload.ts";
import { translateDestinationRule } from "./destination-rule.ts";
import { createEndpointInterner, serviceNameLabel, translateEndpoints } from "./endpoint.ts";
import { eachOnce, keepEqualList, keepEqualMap } from "./keep-equal.ts";
import { translatePeerAuthentication } from "./peer-authentication.ts";
import { findMissing } from "./references.ts";
import { translateService } from "./service.ts";
import { translateVirtualService } from "./virtual-service.ts";
import { translateWorkload } from "./workload.ts";

/** The kinds that the model is made of: watch them all. */
export const translatedKinds: readonly Kind<KubeObject>[] = [
  ServiceKind,
  EndpointSliceKind,
  PodKind,
  VirtualServiceKind,
  DestinationRuleKind,
  PeerAuthenticationKind,
];

export interface Translation {
  readonly model: Model;
  readonly problems: readonly Problem[];
}

/**
 * Makes the function from snapshots to models.
 *
 * It is pure in what it answers; between calls it keeps what it derived, so that parts which have not changed are the
 * same objects as in the model before.
 *
 * @param cluster id of the Kubernetes cluster, for metrics
 */
export function createTranslator(
  settings: MeshSettings,
  cluster = "Kubernetes",
): (snapshot: Snapshot) => Translation {
  const servicesOf = eachOnce((object: KubeService) => translateService(object, settings.domain));
  const routesOf = eachOnce((object: VirtualService) => translateVirtualService(object, settings.domain));
  const policiesOf = eachOnce((object: DestinationRule) => translateDestinationRule(object, settings.domain));
  const rulesOf = eachOnce(translatePeerAuthentication);
  const intern = createEndpointInterner();
  let before: Model | undefined;
  let slicesBefore: readonly EndpointSlice[] | undefined;
  let slicesByService = new Map<string, EndpointSlice[]>();

  function workloadsOf(snapshot: Snapshot): Model["workloads"] {
    const workloads = new Map<string, Workload>();
    for (const pod of snapshot.list(PodKind)) {
      const key = `${pod.metadata.namespace}/${pod.metadata.name}`;
      workloads.set(key, translateWorkload(pod, cluster, before?.workloads.get(key)));
    }
    return keepEqualMap(before?.workloads, workloads);
  }

  function endpointsOf(
    snapshot: Snapshot,
    services: Model["services"],
    workloads: Model["workloads"],
  ): Model["endpoints"] {
    const slices = snapshot.list(EndpointSliceKind);
    const unchanged = slices === slicesBefore && workloads === before?.workloads;
    if (unchanged && services === before?.services) return before.endpoints;
    if (slices !== slicesBefore) {
      slicesByService = Map.groupBy(
        slices,
        ({ metadata }) => `${metadata.namespace}/${metadata.labels?.[serviceNameLabel]}`,
      );
      slicesBefore = slices;
    }
    const endpoints = new Map<string, ServiceEndpoints>();
    for (const [host, service] of services) {
      const own = slicesByService.get(`${service.namespace}/${service.name}`) ?? [];
      endpoints.set(
        host,
        translateEndpoints(service, own, workloads, cluster, intern, before?.endpoints.get(host)),
      );
    }
    return keepEqualMap(before?.endpoints, endpoints);
  }

  return (snapshot) => {
    const services = new Map<string, Service>();
    for (const service of servicesOf(snapshot.list(ServiceKind))) {
      if (service !== undefined) services.set(service.host, service);
    }
    const workloads = workloadsOf(snapshot);
    const kept = keepEqualMap(before?.services, services);
    const routes = routesOf(snapshot.list(VirtualServiceKind));
    const policies = policiesOf(snapshot.list(DestinationRuleKind));
    const next: Model = {
      settings,
      services: kept,
      endpoints: endpointsOf(snapshot, kept, workloads),
      workloads,
      routes: keepEqualList(
        before?.routes,
        oldestFirst(routes.flatMap(({ table }) => (table === undefined ? [] : [table]))),
      ),
      policies: keepEqualList(before?.policies, oldestFirst(policies.map(({ policy }) => policy))),
      mutualTls: keepEqualList(
        before?.mutualTls,
        oldestFirst(rulesOf(snapshot.list(PeerAuthenticationKind))),
      ),
    };
    // An equal model is the same object: nobody has anything to do.
    const model = before !== undefined && isSame(before, next) ? before : next;
    before = model;
    const problems = [...routes, ...policies].flatMap((translated) => translated.problems);
    return { model, problems: [...problems, ...model.routes.flatMap((table) => findMissing(model, table))] };
  };
}

function isSame(before: Model, after: Model): boolean {
  return (
    before.services === after.services &&
    before.endpoints === after.endpoints &&
    before.workloads === after.workloads &&
    before.routes === after.routes &&
    before.policies === after.policies &&
    before.mutualTls === after.mutualTls
  );
}

/** Istio's order of conflicting objects; objects of one second keep the order of the list (namespace, name). */
function oldestFirst<T extends { readonly createdAt: string }>(items: readonly T[]): readonly T[] {
  return items.toSorted((a, b) => (a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : 0));
}
