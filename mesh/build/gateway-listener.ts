import { create } from "@bufbuild/protobuf";
import { TrafficDirection } from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import {
  type Filter,
  type FilterChain,
  type FilterChainMatch,
  FilterChainMatchSchema,
  FilterChainSchema,
} from "../../envoy/generated/envoy/config/listener/v3/listener_components_pb.js";
import { type Listener, ListenerSchema } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";
import { ConfigSchema as SetFilterStateSchema } from "../../envoy/generated/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import { TlsInspectorSchema } from "../../envoy/generated/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { callerOf } from "../model/caller.ts";
import { endsTls, type GatewayServer, type ServerHost, type TerminatingTls } from "../model/gateway.ts";
import type { BoundServer, GatewayPlan, PlannedListener } from "../model/gateway-plan.ts";
import { gatewayRouteTable, streamsOf } from "../model/gateway-routes.ts";
import type { Model } from "../model/model.ts";
import type { Proxy } from "../model/proxy.ts";
import { typed } from "./any.ts";
import { meshProtocols, type Passage } from "./auto-passthrough.ts";
import { connectionTarget } from "./connection-chains.ts";
import { denialLog } from "./denial-log.ts";
import { gatewayTls } from "./gateway-tls.ts";
import { httpFilter, httpManager } from "./http-manager.ts";
import { forwardProxyFilter } from "./plain-clusters.ts";
import { tcpProxy, tcpTo } from "./tcp-proxy.ts";
import { durationFromMs, fromAds, pipe, socketAddress } from "./values.ts";
import { type WayTo, waysOf } from "./ways.ts";
import type { PolicyFilters, Telemetry } from "./workload-filters.ts";

export interface GatewayContext {
  readonly model: Model;
  readonly proxy: Proxy;
  readonly policies: PolicyFilters;
  readonly telemetry: Telemetry;
  /** Of the servers in mode AUTO_PASSTHROUGH. */
  readonly passages: ReadonlyMap<GatewayServer, readonly Passage[]>;
}

/**
 * The listeners of a gateway's proxy: one a port; servers with TLS are filter chains told apart by server name.
 *
 * A port on which nothing can be served is not bound.
 *
 * @see networking.istio.io Gateway, envoy.config.listener.v3.Listener
 */
export function buildGatewayListeners(plan: GatewayPlan, context: GatewayContext): Listener[] {
  return plan.listeners.flatMap((listener) => {
    const filterChains = chainsOf(listener, plan, context);
    if (filterChains.length === 0) return [];
    const { number, bind, kind } = listener;
    const address = bind ?? (context.proxy.ip.startsWith("127.") ? context.proxy.ip : "0.0.0.0");
    return create(ListenerSchema, {
      name: `${address}_${number}`,
      address: address.startsWith("unix://")
        ? pipe(address.slice("unix://".length))
        : socketAddress(address, number),
      trafficDirection: TrafficDirection.OUTBOUND,
      filterChains,
      ...(kind === "tls" && {
        listenerFilters: [
          {
            name: "envoy.filters.listener.tls_inspector",
            configType: { case: "typedConfig", value: typed(TlsInspectorSchema, {}) },
          },
        ],
        listenerFiltersTimeout: durationFromMs(15_000),
      }),
    });
  });
}

function chainsOf(listener: PlannedListener, plan: GatewayPlan, context: GatewayContext): FilterChain[] {
  if (listener.kind === "http")
    return [create(FilterChainSchema, { filters: [http(gatewayRouteTable(listener), context)] })];
  const chains = listener.servers.flatMap((bound) => serverChains(bound, listener, plan, context));
  // Envoy refuses a listener with two chains for one name: the older server keeps it.
  const seen = new Set<string>();
  return chains.filter(({ filterChainMatch }) => {
    const key = JSON.stringify(filterChainMatch?.serverNames ?? []);
    const isNew = !seen.has(key);
    seen.add(key);
    return isNew;
  });
}

function serverChains(
  bound: BoundServer,
  listener: PlannedListener,
  { credentials }: GatewayPlan,
  context: GatewayContext,
): FilterChain[] {
  const { server } = bound;
  const { tls } = server;
  const caller = { ...callerOf(context.model, context.proxy), gateways: [] };
  const wayTo: WayTo = waysOf(context.model, caller);
  const terminates = endsTls(tls) ? tls : undefined;
  const { trustDomain } = context.model.settings;
  const secured = (settings: TerminatingTls, protocols: readonly string[]) => ({
    transportSocket: {
      name: "envoy.transport_sockets.tls",
      configType: {
        case: "typedConfig" as const,
        value: gatewayTls(settings, credentials, trustDomain, protocols),
      },
    },
    transportSocketConnectTimeout: durationFromMs(15_000),
  });
  if (tls?.mode === "auto-passthrough")
    return (context.passages.get(server) ?? []).map(({ serverName }) =>
      create(FilterChainSchema, {
        filterChainMatch: { ...matchNames([serverName]), applicationProtocols: meshProtocols },
        filters: [...context.policies.network, tcpTo(serverName)],
      }),
    );
  if (server.protocol === "https" && terminates !== undefined) {
    const table = gatewayRouteTable(listener, bound);
    return [
      create(FilterChainSchema, {
        name: table,
        filterChainMatch: matchNames(serverNames(server.hosts)),
        filters: [http(table, context)],
        ...secured(terminates, ["h2", "http/1.1"]),
      }),
    ];
  }
  return streamsOf(context.model, caller, bound).map((stream) =>
    create(FilterChainSchema, {
      ...(listener.kind === "tls" && { filterChainMatch: matchNames(serverNames(stream.hosts)) }),
      filters: [
        ...context.policies.network,
        tcpProxy(connectionTarget(stream.destinations, server.port, wayTo)),
      ],
      ...(terminates && secured(terminates, [])),
    }),
  );
}

/** Server names of TLS as Envoy matches them; none: any. */
function serverNames(hosts: readonly Pick<ServerHost, "host">[]): string[] {
  const names = new Set(hosts.map(({ host }) => host));
  return names.has("*") ? [] : [...names];
}

function matchNames(names: readonly string[]): FilterChainMatch {
  return create(FilterChainMatchSchema, { serverNames: [...names], transportProtocol: "tls" });
}

/** Routes may ask for claims of a token: what the policies' filters found must count when the route is chosen. */
const chooseAgain = httpFilter(
  "fairlead.choose-route-again",
  typed(SetFilterStateSchema, { clearRouteCache: true }),
);

const resolving = new WeakMap<Model["services"], boolean>();

/** Whether there are Services of resolution DYNAMIC_DNS. */
export function resolvesHosts(services: Model["services"]): boolean {
  const known =
    resolving.get(services) ?? services.values().some(({ resolution }) => resolution === "dynamic-dns");
  resolving.set(services, known);
  return known;
}

function http(table: string, { model, proxy, policies, telemetry }: GatewayContext): Filter {
  const authenticates = policies.http.some(({ name }) => name === "envoy.filters.http.jwt_authn");
  return httpManager({
    direction: "gateway",
    statPrefix: `outbound_${table}`,
    routes: { case: "rds", value: { routeConfigName: table, configSource: fromAds() } },
    filters: authenticates ? [...policies.http, chooseAgain] : policies.http,
    ...(policies.paths && { paths: policies.paths }),
    ...(resolvesHosts(model.services) && { lastFilters: [forwardProxyFilter()] }),
    accessLogs: [
      ...telemetry.outboundAccessLogs(proxy.facts),
      ...(policies.http.length > 0 ? [denialLog()] : []),
    ],
    attemptLogs: telemetry.upstreamAttemptLogs(proxy),
    ...(telemetry.tracing && { tracing: telemetry.tracing }),
  });
}
