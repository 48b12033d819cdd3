import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  type AccessLog,
  AccessLogFilterSchema,
} from "../../envoy/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import { TrafficDirection } from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import {
  type Filter,
  type FilterChainMatchSchema,
  FilterChainSchema,
} from "../../envoy/generated/envoy/config/listener/v3/listener_components_pb.js";
import { type Listener, ListenerSchema } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";
import { HttpInspectorSchema } from "../../envoy/generated/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js";
import { TlsInspectorSchema } from "../../envoy/generated/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import type { MeshSettings } from "../model/model.ts";
import { blackHoleCluster, httpProxyRoutes, passthroughCluster } from "../model/names.ts";
import type { Proxy } from "../model/proxy.ts";
import { typed } from "./any.ts";
import type { ConnectionChain } from "./connection-chains.ts";
import { httpManager } from "./http-manager.ts";
import { forwardProxyFilter } from "./plain-clusters.ts";
import type { RedirectPort } from "./redirect-ports.ts";
import { tcpProxy, tcpTo } from "./tcp-proxy.ts";
import { cidrRange, durationFromMs, fromAds, socketAddress } from "./values.ts";
import type { Telemetry } from "./workload-filters.ts";

/** The HTTP proxy for the pod's outgoing requests, in interception mode NONE. */
export function buildHttpProxyListener(proxy: Proxy, telemetry: Telemetry): Listener {
  return create(ListenerSchema, {
    name: `${proxy.ip}_${proxy.httpProxyPort}`,
    address: socketAddress(proxy.ip, proxy.httpProxyPort),
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [{ filters: [outboundHttp(proxy, telemetry, httpProxyRoutes)] }],
  });
}

/**
 * The listeners of interception mode REDIRECT: one where all outgoing connections arrive, which hands them to one a port
 * (HTTP) or one an address and port (TCP, and ports whose protocol nobody declared: HTTP is recognised there).
 *
 * @see https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/
 */
export function buildRedirectListeners(
  proxy: Proxy,
  ports: readonly RedirectPort[],
  settings: Pick<MeshSettings, "outboundTrafficPolicy">,
  telemetry: Telemetry,
): Listener[] {
  const unknown = settings.outboundTrafficPolicy === "REGISTRY_ONLY" ? blackHoleCluster : passthroughCluster;
  return [
    ...buildPortListeners(proxy, ports, telemetry),
    create(ListenerSchema, {
      name: "virtualOutbound",
      address: socketAddress("0.0.0.0", 15001),
      useOriginalDst: true,
      trafficDirection: TrafficDirection.OUTBOUND,
      filterChains: [
        // A connection to this very port would come back here for ever.
        {
          name: "virtualOutbound-blackhole",
          filterChainMatch: { destinationPort: 15001 },
          filters: [tcpTo(blackHoleCluster)],
        },
        { name: "virtualOutbound-catchall-tcp", filters: [tcpTo(unknown)] },
      ],
    }),
  ];
}

/** A listener for each port, where it is captured or bound. */
export function buildPortListeners(
  proxy: Proxy,
  ports: readonly RedirectPort[],
  telemetry: Telemetry,
): Listener[] {
  return ports.map((port) =>
    port.kind === "http" ? httpPortListener(proxy, telemetry, port) : addressListener(proxy, telemetry, port),
  );
}

function httpPortListener(
  proxy: Proxy,
  telemetry: Telemetry,
  { address, number, bound, resolves }: RedirectPort,
): Listener {
  return create(ListenerSchema, {
    name: `${address}_${number}`,
    address: socketAddress(address, number),
    ...(!bound && { bindToPort: false }),
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [{ filters: [outboundHttp(proxy, telemetry, String(number), resolves)] }],
  });
}

function addressListener(
  proxy: Proxy,
  telemetry: Telemetry,
  { address, number, kind, chains, bound }: RedirectPort,
): Listener {
  const http = create(FilterChainSchema, {
    filterChainMatch: { applicationProtocols: ["http/1.1", "h2c"], transportProtocol: "raw_buffer" },
    filters: [outboundHttp(proxy, telemetry, String(number))],
  });
  const plain = chains.map((chain) => {
    const filterChainMatch = buildChainMatch(chain);
    return create(FilterChainSchema, {
      ...(filterChainMatch && { filterChainMatch }),
      filters: [tcpProxy(chain.target)],
    });
  });
  const fallback = plain.find(({ filterChainMatch }) => filterChainMatch === undefined);
  const sniffs = kind === "sniffed";
  return create(ListenerSchema, {
    name: `${address}_${number}`,
    address: socketAddress(address, number),
    ...(!bound && { bindToPort: false }),
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [...(sniffs ? [http] : []), ...plain.filter((chain) => !sniffs || chain !== fallback)],
    ...(sniffs && fallback && { defaultFilterChain: fallback }),
    ...inspectors(sniffs, sniffs || chains.some(({ serverNames }) => serverNames.length > 0)),
  });
}

/** undefined where any connection fits. @see envoy.config.listener.v3.FilterChainMatch */
function buildChainMatch({
  serverNames,
  destinationSubnets,
  sourceSubnets,
}: ConnectionChain): MessageInitShape<typeof FilterChainMatchSchema> | undefined {
  if (serverNames.length + destinationSubnets.length + sourceSubnets.length === 0) return undefined;
  return {
    serverNames: [...serverNames],
    prefixRanges: destinationSubnets.map(cidrRange),
    sourcePrefixRanges: sourceSubnets.map(cidrRange),
  };
}

/** What looks at the first bytes: for HTTP, and for the server name of TLS. Whoever waits for the server is not held up. */
function inspectors(
  http: boolean,
  tls: boolean,
): Pick<
  MessageInitShape<typeof ListenerSchema>,
  "listenerFilters" | "listenerFiltersTimeout" | "continueOnListenerFiltersTimeout"
> {
  if (!http && !tls) return {};
  const filter = (name: string, value: Any) => ({
    name: `envoy.filters.listener.${name}`,
    configType: { case: "typedConfig" as const, value },
  });
  return {
    listenerFilters: [
      filter("tls_inspector", typed(TlsInspectorSchema, {})),
      ...(http ? [filter("http_inspector", typed(HttpInspectorSchema, {}))] : []),
    ],
    listenerFiltersTimeout: durationFromMs(0),
    continueOnListenerFiltersTimeout: true,
  };
}

function outboundHttp(proxy: Proxy, telemetry: Telemetry, routes: string, resolves = false): Filter {
  // Without redirection nobody but a name says where undeclared hosts are.
  const byName = resolves || proxy.interception === "NONE";
  return httpManager({
    direction: "outbound",
    statPrefix: `outbound_${routes}`,
    routes: { case: "rds", value: { routeConfigName: routes, configSource: fromAds() } },
    onDemand: proxy.scope === "learned",
    filters: [],
    lastFilters: byName ? [forwardProxyFilter()] : [],
    accessLogs: telemetry.outboundAccessLogs(proxy.facts).map(butTunnels),
    attemptLogs: telemetry.upstreamAttemptLogs(proxy),
    ...(telemetry.tracing && { tracing: telemetry.tracing }),
  });
}

/** A tunnel is no request: those inside it are recorded one by one. */
function butTunnels(log: AccessLog): AccessLog {
  if (log.filter !== undefined) return log;
  const filter = create(AccessLogFilterSchema, {
    filterSpecifier: {
      case: "headerFilter",
      value: {
        header: {
          name: ":method",
          invertMatch: true,
          headerMatchSpecifier: {
            case: "stringMatch",
            value: { matchPattern: { case: "exact", value: "CONNECT" } },
          },
        },
      },
    },
  });
  return { ...log, filter };
}
