import type { ReadCanary } from "../../api/canary/types.ts";
import type { HeaderOperations } from "../../api/generated/canaries.ts";
import type {
  HTTPBackendRef,
  HTTPRouteFilter,
  HTTPRouteMatch,
  HTTPRouteRule,
  HTTPRouteSpec,
} from "../../api/generated/httproutes.ts";
import type { Percent } from "../../lib/units.ts";
import type { Traffic } from "../decide/traffic.ts";
import { gatewayMatches } from "./gateway-api-match.ts";
import { cookiesToSet, setCookie, withCookie } from "./istio-affinity.ts";
import { conjunction } from "./istio-match.ts";

/** `v1beta1` has neither timeouts nor CORS. */
export type GatewayApiVersion = "v1" | "v1beta1";

/**
 * The HTTPRoute named as the apex Service. Rules with more conditions win by the Gateway API's own order, which is the
 * order in which they stand.
 *
 * @see gateway.networking.k8s.io HTTPRoute
 */
export function buildHttpRouteSpec(
  canary: ReadCanary,
  traffic: Traffic,
  version: GatewayApiVersion,
): HTTPRouteSpec {
  const { service } = canary;
  return {
    parentRefs: (service.gatewayRefs ?? []).map((ref) => ({
      group: "gateway.networking.k8s.io",
      kind: "Gateway",
      ...ref,
    })),
    ...(service.hosts.length > 0 && { hostnames: service.hosts }),
    rules: buildRules(canary, traffic, version),
  };
}

function buildRules(canary: ReadCanary, traffic: Traffic, version: GatewayApiVersion): HTTPRouteRule[] {
  const { service, names, analysis } = canary;
  const { match: taking = [] } = analysis.strategy.kind === "blue-green" ? {} : analysis.strategy;
  const rule = (
    matches: HTTPRouteMatch[],
    backendRefs: readonly HTTPBackendRef[],
    filters: readonly HTTPRouteFilter[] = [],
  ): HTTPRouteRule => {
    const all = [...serviceFilters(canary, version), ...filters];
    return {
      matches,
      ...(all.length > 0 && { filters: all }),
      backendRefs,
      ...(version === "v1" && timeouts(canary)),
    };
  };
  const users = gatewayMatches(service.match);
  const preview =
    traffic.preview && analysis.preview.length > 0
      ? [rule(gatewayMatches(conjunction(analysis.preview, service.match)), split(canary, 100))]
      : [];
  const mirror = mirrorFilters(canary, traffic);
  if (taking.length > 0) {
    return [
      ...preview,
      rule(gatewayMatches(conjunction(taking, service.match)), split(canary, traffic.canaryWeight), mirror),
      rule(users, [backend(canary, names.primaryService, 100)]),
    ];
  }
  const settings = analysis.sessionAffinity;
  const { affinity, expired } = traffic;
  const cookies = settings && affinity && cookiesToSet(affinity, settings);
  const withCookies = (cookie: string) => gatewayMatches(withCookie(service.match, cookie));
  const stays =
    affinity === undefined
      ? []
      : [
          rule(withCookies(affinity.canary), split(canary, 100)),
          rule(withCookies(affinity.primary), split(canary, 0)),
          ...affinity.earlier.map(({ cookie, canaryWeight }) =>
            rule(withCookies(cookie), split(canary, canaryWeight, cookies)),
          ),
        ];
  const gone =
    affinity === undefined && settings && expired !== undefined
      ? [rule(withCookies(expired), split(canary, 0), [setsCookie(setCookie(expired, -1, settings))])]
      : [];
  return [...preview, ...stays, ...gone, rule(users, split(canary, traffic.canaryWeight, cookies), mirror)];
}

function split(
  canary: ReadCanary,
  canaryWeight: Percent,
  cookies: { readonly primary?: string; readonly canary?: string } = {},
): readonly HTTPBackendRef[] {
  const { primaryService, canaryService } = canary.names;
  return [
    backend(canary, primaryService, 100 - canaryWeight, cookies.primary),
    backend(canary, canaryService, canaryWeight, cookies.canary),
  ];
}

function backend({ service }: ReadCanary, name: string, weight: Percent, cookie?: string): HTTPBackendRef {
  return {
    group: "",
    kind: "Service",
    name,
    port: service.port,
    weight,
    ...(cookie !== undefined && { filters: [setsCookie(cookie)] }),
  };
}

function setsCookie(value: string) {
  const add = [{ name: "Set-Cookie", value }];
  return { type: "ResponseHeaderModifier", responseHeaderModifier: { add } } as const;
}

function timeouts({ service }: ReadCanary): Pick<HTTPRouteRule, "timeouts"> {
  const { timeout, backendTimeout } = service;
  if (!timeout && !backendTimeout) return {};
  return {
    timeouts: {
      ...(timeout && { request: timeout }),
      ...(backendTimeout && { backendRequest: backendTimeout }),
    },
  };
}

/** In Flagger's order: request headers, response headers, rewrite, the user's mirrors, CORS. */
function serviceFilters({ service }: ReadCanary, version: GatewayApiVersion): readonly HTTPRouteFilter[] {
  const { headers, rewrite, mirror = [], corsPolicy } = service;
  return [
    ...(headers?.request
      ? [{ type: "RequestHeaderModifier", requestHeaderModifier: modifier(headers.request) } as const]
      : []),
    ...(headers?.response
      ? [{ type: "ResponseHeaderModifier", responseHeaderModifier: modifier(headers.response) } as const]
      : []),
    ...(rewrite ? [{ type: "URLRewrite", urlRewrite: rewritten(rewrite) } as const] : []),
    ...mirror.map(
      ({ backendRef }): HTTPRouteFilter => ({ type: "RequestMirror", requestMirror: { backendRef } }),
    ),
    ...(corsPolicy && version === "v1" ? [{ type: "CORS", cors: cors(corsPolicy) } as const] : []),
  ];
}

function modifier({ add, set, remove }: HeaderOperations) {
  const sorted = (map: Readonly<Record<string, string>>) =>
    Object.entries(map)
      .map(([name, value]) => ({ name, value }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return {
    ...(add && { add: sorted(add) }),
    ...(set && { set: sorted(set) }),
    ...(remove && { remove }),
  };
}

function rewritten({ uri, authority, type }: NonNullable<ReadCanary["service"]["rewrite"]>) {
  const byPrefix = type === "ReplacePrefixMatch";
  return {
    ...(authority && { hostname: authority }),
    ...(uri && {
      path: byPrefix
        ? ({ type: "ReplacePrefixMatch", replacePrefixMatch: uri } as const)
        : ({ type: "ReplaceFullPath", replaceFullPath: uri } as const),
    }),
  };
}

type Cors = NonNullable<HTTPRouteFilter["cors"]>;

function cors(policy: NonNullable<ReadCanary["service"]["corsPolicy"]>): Cors {
  const { allowOrigin, allowOrigins, allowMethods, allowHeaders, exposeHeaders, maxAge, allowCredentials } =
    policy;
  const exact = (allowOrigins ?? []).flatMap((origin) => origin.exact ?? []);
  const seconds = Number.parseInt(maxAge ?? "", 10);
  return {
    allowOrigins: [...(allowOrigin ?? []), ...exact],
    ...(allowMethods && { allowMethods: allowMethods as NonNullable<Cors["allowMethods"]> }),
    ...(allowHeaders && { allowHeaders }),
    ...(exposeHeaders && { exposeHeaders }),
    ...(allowCredentials !== undefined && { allowCredentials }),
    ...(!Number.isNaN(seconds) && {
      maxAge: maxAge?.endsWith("h") ? seconds * 3600 : maxAge?.endsWith("m") ? seconds * 60 : seconds,
    }),
  };
}

function mirrorFilters({ service, names }: ReadCanary, { mirror }: Traffic): readonly HTTPRouteFilter[] {
  if (mirror === 0) return [];
  const backendRef = { group: "", kind: "Service", name: names.canaryService, port: service.port };
  return [{ type: "RequestMirror", requestMirror: { backendRef, ...(mirror < 100 && { percent: mirror }) } }];
}
