import type { ReadCanary } from "../../api/canary/types.ts";
import type { TrafficPolicy } from "../../api/generated/destinationrules.ts";
import type {
  HttpRoute,
  HttpRouteDestination,
  VirtualServiceSpec,
} from "../../api/generated/virtualservices.ts";
import type { DestinationRule, VirtualService } from "../../api/kinds.ts";
import type { OwnerReference } from "../../api/resource.ts";
import type { Percent } from "../../lib/units.ts";
import { fluxAnnotations } from "./services.ts";

const apiVersion = "networking.istio.io/v1";

/** DestinationRule of one side: the host and the Canary's traffic policy. */
export function buildDestinationRule(
  canary: ReadCanary,
  host: string,
  owner: OwnerReference,
): DestinationRule {
  const { trafficPolicy } = canary.service;
  return {
    apiVersion,
    kind: "DestinationRule",
    metadata: { name: host, namespace: canary.namespace, ownerReferences: [owner] },
    // The schema of a Canary's traffic policy is DestinationRule's with fewer required fields: the API server has the last word.
    spec: { host, ...(trafficPolicy && { trafficPolicy: trafficPolicy as TrafficPolicy }) },
  };
}

/** The VirtualService named as the apex Service, with both destinations from the beginning, whatever their weights. */
export function buildVirtualService(
  canary: ReadCanary,
  canaryWeight: Percent,
  owner: OwnerReference,
): VirtualService {
  const { service, names, namespace } = canary;
  return {
    apiVersion,
    kind: "VirtualService",
    metadata: {
      name: names.apexService,
      namespace,
      ...(service.apex?.labels && { labels: service.apex.labels }),
      annotations: { ...service.apex?.annotations, ...fluxAnnotations },
      ownerReferences: [owner],
    },
    spec: buildSpec(canary, canaryWeight),
  };
}

/** @see networking.istio.io VirtualService */
export function buildSpec(canary: ReadCanary, canaryWeight: Percent): VirtualServiceSpec {
  const { service, names } = canary;
  const { hosts, gateways, delegation } = service;
  const named = hosts.includes("*") || hosts.includes(names.apexService);
  const ends = delegation
    ? {}
    : {
        hosts: named ? hosts : [...hosts, names.apexService],
        gateways: gateways.length > 0 ? gateways : ["mesh"],
      };
  const route = [
    destination(canary, names.primaryService, 100 - canaryWeight),
    destination(canary, names.canaryService, canaryWeight),
  ];
  if (service.appProtocol?.toLowerCase() === "tcp") {
    const match = (service.match ?? []).flatMap(({ port }) => (port === undefined ? [] : [{ port }]));
    return { ...ends, tcp: [{ ...(match.length > 0 && { match }), route }] };
  }
  return { ...ends, http: [buildHttpRoute(canary, route)] };
}

function buildHttpRoute({ service }: ReadCanary, route: readonly HttpRouteDestination[]): HttpRoute {
  const { match, rewrite, timeout, retries, corsPolicy, headers } = service;
  return {
    ...(match && { match }),
    ...(rewrite && {
      rewrite: {
        ...(rewrite.uri !== undefined && { uri: rewrite.uri }),
        ...(rewrite.authority !== undefined && { authority: rewrite.authority }),
      },
    }),
    ...(timeout && { timeout }),
    ...(retries && { retries: { ...retries, attempts: retries.attempts ?? 0 } }),
    ...(corsPolicy && { corsPolicy }),
    ...(headers && { headers }),
    route,
  };
}

function destination({ service }: ReadCanary, host: string, weight: Percent): HttpRouteDestination {
  const { portDiscovery, gateways, delegation, port } = service;
  const first = gateways[0] ?? "mesh";
  const withPort = portDiscovery && (first !== "mesh" || delegation);
  return { destination: { host, ...(withPort && { port: { number: port } }) }, weight };
}
