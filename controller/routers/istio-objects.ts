import type { ReadCanary } from "../../api/canary/types.ts";
import type { TrafficPolicy } from "../../api/generated/destinationrules.ts";
import type {
  HttpMatchRequest,
  HttpRoute,
  HttpRouteDestination,
  VirtualServiceSpec,
} from "../../api/generated/virtualservices.ts";
import type { DestinationRule, VirtualService } from "../../api/kinds.ts";
import type { OwnerReference } from "../../api/resource.ts";
import type { Percent } from "../../lib/units.ts";
import type { Traffic } from "../decide/traffic.ts";
import { fluxAnnotations } from "./flux.ts";
import { cookiesToSet, setCookie, withCookie } from "./istio-affinity.ts";
import { conjunction } from "./istio-match.ts";

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
  traffic: Traffic,
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
    spec: buildSpec(canary, traffic),
  };
}

/** @see networking.istio.io VirtualService */
export function buildSpec(canary: ReadCanary, traffic: Traffic): VirtualServiceSpec {
  const { service, names } = canary;
  const { hosts, gateways, delegation } = service;
  const named = hosts.includes("*") || hosts.includes(names.apexService);
  const ends = delegation
    ? {}
    : {
        hosts: named ? hosts : [...hosts, names.apexService],
        gateways: gateways.length > 0 ? gateways : ["mesh"],
      };
  if (service.appProtocol?.toLowerCase() === "tcp") {
    const match = (service.match ?? []).flatMap(({ port }) => (port === undefined ? [] : [{ port }]));
    const route = split(canary, traffic.canaryWeight);
    return { ...ends, tcp: [{ ...(match.length > 0 && { match }), route }] };
  }
  return { ...ends, http: buildHttpRoutes(canary, traffic) };
}

/**
 * The rules, the first that fits counts: the preview, users who stay where they are, then the split. With
 * `analysis.match` only requests that fit it are split; all others reach the primary.
 */
function buildHttpRoutes(canary: ReadCanary, traffic: Traffic): readonly HttpRoute[] {
  const { service, names, analysis } = canary;
  const { match: taking = [] } = analysis.strategy.kind === "blue-green" ? {} : analysis.strategy;
  const preview: readonly HttpRoute[] =
    traffic.preview && analysis.preview.length > 0
      ? [rule(canary, split(canary, 100), conjunction(analysis.preview, service.match))]
      : [];
  if (taking.length > 0) {
    return [
      ...preview,
      withMirror(
        canary,
        rule(canary, split(canary, traffic.canaryWeight), conjunction(taking, service.match)),
        traffic,
      ),
      rule(canary, [destination(canary, names.primaryService, 100)], service.match),
    ];
  }
  return [
    ...preview,
    ...stayRules(canary, traffic),
    withMirror(canary, rule(canary, splitWithCookies(canary, traffic), service.match), traffic),
  ];
}

/** Users who were given a cookie: this run's stay, and the last run's lose theirs. */
function stayRules(canary: ReadCanary, { affinity, expired }: Traffic): readonly HttpRoute[] {
  const { service, analysis } = canary;
  const settings = analysis.sessionAffinity;
  if (settings === undefined) return [];
  if (affinity !== undefined) {
    const cookies = cookiesToSet(affinity, settings);
    return [
      rule(canary, split(canary, 100), withCookie(service.match, affinity.canary)),
      rule(canary, split(canary, 0), withCookie(service.match, affinity.primary)),
      ...affinity.earlier.map(({ cookie, canaryWeight }) =>
        rule(canary, split(canary, canaryWeight, cookies), withCookie(service.match, cookie)),
      ),
    ];
  }
  if (expired === undefined) return [];
  const gone = { primary: setCookie(expired, -1, settings) };
  return [rule(canary, split(canary, 0, gone), withCookie(service.match, expired))];
}

function splitWithCookies(canary: ReadCanary, { canaryWeight, affinity }: Traffic) {
  const settings = canary.analysis.sessionAffinity;
  return split(canary, canaryWeight, affinity && settings && cookiesToSet(affinity, settings));
}

function withMirror({ names }: ReadCanary, route: HttpRoute, { mirror }: Traffic): HttpRoute {
  if (mirror === 0) return route;
  return { ...route, mirror: { host: names.canaryService }, mirrorPercentage: { value: mirror } };
}

function rule(
  { service }: ReadCanary,
  route: readonly HttpRouteDestination[],
  match: readonly HttpMatchRequest[] | undefined,
): HttpRoute {
  const { rewrite, timeout, retries, corsPolicy, headers } = service;
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

/** Both destinations, whatever their weights; `cookies`: what an answer of each side sets. */
function split(
  canary: ReadCanary,
  canaryWeight: Percent,
  cookies: { readonly primary?: string; readonly canary?: string } = {},
): readonly HttpRouteDestination[] {
  const { primaryService, canaryService } = canary.names;
  return [
    destination(canary, primaryService, 100 - canaryWeight, cookies.primary),
    destination(canary, canaryService, canaryWeight, cookies.canary),
  ];
}

function destination(
  { service }: ReadCanary,
  host: string,
  weight: Percent,
  cookie?: string,
): HttpRouteDestination {
  const { portDiscovery, gateways, delegation, port } = service;
  const first = gateways[0] ?? "mesh";
  const withPort = portDiscovery && (first !== "mesh" || delegation);
  return {
    destination: { host, ...(withPort && { port: { number: port } }) },
    weight,
    ...(cookie !== undefined && { headers: { response: { add: { "Set-Cookie": cookie } } } }),
  };
}
