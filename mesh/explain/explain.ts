import { fromBinary } from "@bufbuild/protobuf";
import type { FilterChain } from "../../envoy/generated/envoy/config/listener/v3/listener_components_pb.js";
import type { Listener } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";
import type { RouteConfiguration } from "../../envoy/generated/envoy/config/route/v3/route_pb.js";
import {
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { TcpProxySchema } from "../../envoy/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { normalizePath, type PathNormalization } from "../../policy/path/normalize.ts";
import { endpointsOf, shares } from "./clusters.ts";
import { type Explanation, nothing } from "./explanation.ts";
import { filterChainFor, seenProtocols } from "./filter-chain.ts";
import type { Address } from "./listener.ts";
import { authorityOf, type RouteRequest } from "./request.ts";
import type { ProxyResources } from "./resources.ts";
import { chooseRoute, explainAction } from "./route.ts";
import type { RoutedRequest } from "./route-match.ts";
import { explainShield } from "./shield.ts";
import { virtualHostFor } from "./virtual-host.ts";

/** A connection that has come to a listener. */
export interface Arrival {
  readonly listener: Listener;
  /** Where the caller meant to connect. */
  readonly destination: Address;
  readonly source: Address;
  /** How the caller came to this listener, in words. */
  readonly how: string;
}

/** Follows a request from a listener to its answer, by what the proxy holds, as Envoy would. */
export function explain(resources: ProxyResources, arrival: Arrival, request: RouteRequest): Explanation {
  const { listener, destination, how } = arrival;
  const tls = request.tls !== "plaintext";
  const connection = {
    ...arrival,
    tls,
    sni: request.sni,
    protocols: seenProtocols(listener, {
      tls,
      alpn: request.alpn,
      http: request.scheme === "http",
      http2: request.http2,
    }),
  };
  const chain = filterChainFor(listener, connection);
  const at = { ...nothing, listener: listener.name };
  if (chain === undefined)
    return { ...at, reason: `${how}; no filter chain takes it: the connection is closed` };
  const here = { ...at, filterChain: chainName(listener, chain) };
  const last = chain.filters.at(-1)?.configType;
  const config = last?.case === "typedConfig" ? last.value : undefined;
  if (config?.typeUrl.endsWith(".HttpConnectionManager") === true) {
    const manager = fromBinary(HttpConnectionManagerSchema, config.value);
    const isEncrypted = chain.transportSocket !== undefined;
    if (request.scheme === "tcp" || (tls && !isEncrypted))
      return { ...here, reason: `${how}; the chain speaks HTTP, and this is none: 400, then closed` };
    return withEndpoints(
      resources,
      destination,
      explainHttp(resources, manager, here, request, isEncrypted, how),
    );
  }
  if (config?.typeUrl.endsWith(".TcpProxy") === true) {
    const { clusterSpecifier: by } = fromBinary(TcpProxySchema, config.value);
    const weights =
      by.case === "cluster"
        ? [{ cluster: by.value, weight: 1, share: 1 }]
        : shares(by.value?.clusters.map(({ name, weight }) => ({ cluster: name, weight })) ?? []);
    const most = weights.toSorted((a, b) => b.share - a.share)[0];
    const cluster = most === undefined || most.share === 0 ? null : most.cluster;
    return withEndpoints(resources, destination, {
      ...here,
      weights,
      cluster,
      reason: `${how}; passed on as bytes to ${cluster ?? "nobody"}`,
    });
  }
  return { ...here, reason: `${how}; the chain has no filter that is explained` };
}

function explainHttp(
  resources: ProxyResources,
  manager: HttpConnectionManager,
  here: Explanation,
  request: RouteRequest,
  isEncrypted: boolean,
  how: string,
): Explanation {
  const by = manager.routeSpecifier;
  const name = by.case === "rds" ? by.value.routeConfigName : by.case === "routeConfig" ? by.value.name : "";
  const table: RouteConfiguration | undefined = by.case === "routeConfig" ? by.value : resources.routes(name);
  const inTable = { ...here, routeConfig: name === "" ? null : name };
  if (table === undefined) return { ...inTable, reason: `${how}; it holds no route table \`${name}\`: 404` };
  const normalized = normalizePath(request.path, normalizationOf(manager));
  if ("status" in normalized)
    return {
      ...inTable,
      directResponse: { status: normalized.status, body: "" },
      reason: `${how}; the path cannot be normalised: ${normalized.status}`,
    };
  const routed: RoutedRequest = {
    method: request.method,
    scheme: isEncrypted ? "https" : "http",
    authority: authorityOf(request),
    path: normalized.path,
    headers: request.headers,
  };
  const host = virtualHostFor(table, routed.authority);
  if (host === undefined)
    return { ...inTable, reason: `${how}; no virtual host is named \`${routed.authority}\`: 404` };
  const { route, shielded, skipped } = chooseRoute(host, routed, resources);
  const inHost = { ...inTable, virtualHost: host.name };
  const before = skipped.length === 0 ? "" : ` (before it: ${skipped.join("; ")})`;
  if (route === undefined)
    return { ...inHost, reason: `${how}; no route of the virtual host fits: 404${before}` };
  const action = explainAction(route, routed, resources);
  const found =
    shielded === undefined ? action : { ...action, ...explainShield(shielded, action, resources) };
  const isRewritten = found.rewrite?.path !== request.path || found.rewrite.authority !== routed.authority;
  const rewrite = isRewritten ? (found.rewrite ?? null) : null;
  const done = { ...inHost, route: route.name, ...found, rewrite };
  return { ...done, reason: `${how}; ${outcome(done)}${before}` };
}

function outcome({
  directResponse,
  redirect,
  cluster,
  weights,
  shield,
  route,
  virtualHost,
}: Explanation): string {
  const by = `by route \`${route}\` of \`${virtualHost}\``;
  if (directResponse !== null) return `answered ${directResponse.status} ${by}`;
  if (redirect !== null) return `sent elsewhere (${redirect.status}) ${by}`;
  if (cluster === null) return `no cluster takes it ${by}: 503`;
  const split = weights.filter(({ share }) => share > 0);
  const way = split.length > 1 ? `split among ${split.length} clusters ${by}` : `to ${cluster} ${by}`;
  return shield === null ? way : `${way}, failures of ${shield.cluster} answered by ${shield.rescuedBy}`;
}

function withEndpoints(resources: ProxyResources, destination: Address, found: Explanation): Explanation {
  const endpoints = found.weights
    .filter(({ share }) => share > 0)
    .flatMap(({ cluster }) => endpointsOf(cluster, resources, destination));
  const missing = found.cluster !== null && resources.cluster(found.cluster) === undefined;
  return {
    ...found,
    endpoints,
    reason: missing ? `${found.reason}; it holds no such cluster: 503` : found.reason,
  };
}

/** The mode whose settings these are. @see HttpConnectionManager.normalize_path */
function normalizationOf({
  normalizePath: on,
  mergeSlashes,
  pathWithEscapedSlashesAction,
}: HttpConnectionManager): PathNormalization {
  if (on !== true) return "NONE";
  if (!mergeSlashes) return "BASE";
  if (pathWithEscapedSlashesAction === EscapedSlashes.UNESCAPE_AND_FORWARD) return "DECODE_AND_MERGE_SLASHES";
  return pathWithEscapedSlashesAction === EscapedSlashes.REJECT_REQUEST ? "STRICT" : "MERGE_SLASHES";
}

function chainName(listener: Listener, chain: FilterChain): string {
  if (chain.name !== "") return chain.name;
  return chain === listener.defaultFilterChain ? "default" : `#${listener.filterChains.indexOf(chain)}`;
}
