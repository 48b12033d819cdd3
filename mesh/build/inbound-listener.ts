import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { AccessLog } from "../../envoy/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import { TrafficDirection } from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import {
  type Filter,
  type FilterChain,
  type FilterChainMatchSchema,
  FilterChainSchema,
  FilterSchema,
  type ListenerFilterSchema,
} from "../../envoy/generated/envoy/config/listener/v3/listener_components_pb.js";
import { type Listener, ListenerSchema } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";
import { HttpInspectorSchema } from "../../envoy/generated/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js";
import { OriginalDstSchema } from "../../envoy/generated/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js";
import { TlsInspectorSchema } from "../../envoy/generated/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { TcpProxySchema } from "../../envoy/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { ConnectionPool } from "../model/destination-policy.ts";
import type { TerminatingTls } from "../model/gateway.ts";
import type { InboundPort } from "../model/inbound.ts";
import type { MutualTlsMode } from "../model/mutual-tls.ts";
import { blackHoleCluster, inboundCluster } from "../model/names.ts";
import { type Proxy, sharesLoopback } from "../model/proxy.ts";
import { isHttp } from "../model/service.ts";
import { typed } from "./any.ts";
import { connectionDenialLog } from "./denial-log.ts";
import { gatewayTls } from "./gateway-tls.ts";
import { httpManager } from "./http-manager.ts";
import { peerFacts } from "./peer-facts.ts";
import { inboundPassthroughCluster } from "./plain-clusters.ts";
import { inboundTls, meshProtocols } from "./tls.ts";
import { durationFromMs, socketAddress } from "./values.ts";
import type { PolicyFilters, Telemetry } from "./workload-filters.ts";

export interface InboundContext {
  readonly proxy: Proxy;
  readonly trustDomain: string;
  readonly policies: PolicyFilters;
  readonly telemetry: Telemetry;
}

/** Protocols by which a mesh client says that it speaks HTTP inside. */
const httpInside = ["istio-http/1.0", "istio-http/1.1", "istio-h2"];
const plainHttp = ["http/1.0", "http/1.1", "h2c"];

/** How a filter chain is chosen, and what is done with the bytes. */
interface ChainPlan {
  readonly match: MessageInitShape<typeof FilterChainMatchSchema>;
  readonly mutualTls: boolean;
  readonly http: boolean;
  /** Ended by a certificate of the pod's own. */
  readonly ownTls?: TerminatingTls;
}

const tls = (applicationProtocols: readonly string[]) => ({
  transportProtocol: "tls",
  applicationProtocols: [...applicationProtocols],
});
const raw = { transportProtocol: "raw_buffer" };
const rawHttp = { ...raw, applicationProtocols: plainHttp };

/**
 * Which connections a port takes and how it reads them.
 *
 * The table of Istio: a mesh client is known by the protocols that it offers; under PERMISSIVE the rest is taken as it
 * comes, TLS of strangers untouched.
 */
export function planChains({
  mode,
  protocol,
  ingress,
}: Pick<InboundPort, "mode" | "protocol" | "ingress">): ChainPlan[] {
  const declared = isHttp(protocol) ? "http" : protocol === "undeclared" ? "undeclared" : "tcp";
  if (mode === "DISABLE" && ingress?.tls !== undefined) {
    const http = declared === "http" || protocol === "https";
    return [{ match: tls([]), mutualTls: false, http, ownTls: ingress.tls }];
  }
  switch (mode) {
    case "STRICT":
      if (declared !== "undeclared") return [{ match: tls([]), mutualTls: true, http: declared === "http" }];
      return [
        { match: tls(httpInside), mutualTls: true, http: true },
        { match: tls([]), mutualTls: true, http: false },
      ];
    case "DISABLE":
      if (declared === "http") return [{ match: raw, mutualTls: false, http: true }];
      if (declared === "tcp") return [{ match: {}, mutualTls: false, http: false }];
      return [
        { match: rawHttp, mutualTls: false, http: true },
        { match: {}, mutualTls: false, http: false },
      ];
    case "PERMISSIVE":
      if (declared === "http") {
        return [
          { match: tls(meshProtocols), mutualTls: true, http: true },
          { match: raw, mutualTls: false, http: true },
        ];
      }
      if (declared === "tcp") {
        return [
          { match: tls(meshProtocols), mutualTls: true, http: false },
          { match: tls([]), mutualTls: false, http: false },
          { match: raw, mutualTls: false, http: false },
        ];
      }
      return [
        { match: tls(httpInside), mutualTls: true, http: true },
        { match: rawHttp, mutualTls: false, http: true },
        { match: tls(["istio-peer-exchange", "istio"]), mutualTls: true, http: false },
        { match: raw, mutualTls: false, http: false },
        { match: tls([]), mutualTls: false, http: false },
      ];
  }
}

/** Builds the listener of one port that it binds itself: at the pod's own address, if a Sidecar does not say another. */
export function buildInboundListener(port: InboundPort, context: InboundContext): Listener {
  const { proxy } = context;
  const address = (sharesLoopback(proxy) ? undefined : port.ingress?.bind) ?? proxy.ip;
  return create(ListenerSchema, {
    name: `${address}_${port.number}`,
    address: socketAddress(address, port.number),
    trafficDirection: TrafficDirection.INBOUND,
    filterChains: inboundChains(port, context, undefined),
    listenerFilters: inspectors(planChains(port)),
    listenerFiltersTimeout: durationFromMs(0),
    continueOnListenerFiltersTimeout: true,
  });
}

/** Filter chains of a port; `destinationPort` where several ports share one listener. */
export function inboundChains(
  port: InboundPort,
  context: InboundContext,
  destinationPort: number | undefined,
): FilterChain[] {
  return planChains(port).map(({ match, mutualTls, http, ownTls }, index) => {
    const alpn = http ? ["h2", "http/1.1"] : ["istio-peer-exchange", "h2", "http/1.1"];
    return create(FilterChainSchema, {
      name: `0.0.0.0_${port.number}_${index}`,
      filterChainMatch: { ...match, ...(destinationPort !== undefined && { destinationPort }) },
      filters: [
        ...(mutualTls ? [peerFacts()] : []),
        ...(http ? [httpChain(port, context)] : tcpChain(port, context)),
      ],
      ...(mutualTls && {
        transportSocket: {
          name: "envoy.transport_sockets.tls",
          configType: { case: "typedConfig", value: inboundTls(context.trustDomain, alpn) },
        },
      }),
      ...(ownTls && {
        transportSocket: {
          name: "envoy.transport_sockets.tls",
          configType: {
            case: "typedConfig",
            value: gatewayTls(ownTls, new Map(), context.trustDomain, http ? ["h2", "http/1.1"] : []),
          },
        },
      }),
    });
  });
}

/**
 * The one listener where all incoming connections arrive in interception mode REDIRECT: chains by original port, and the
 * treatment of ports that nobody declared.
 */
export function buildVirtualInbound(
  ports: readonly InboundPort[],
  rest: MutualTlsMode,
  context: InboundContext,
): Listener {
  const undeclared: InboundPort = {
    number: 0,
    protocol: "undeclared",
    mode: rest,
    service: undefined,
    servicePort: 0,
  };
  return create(ListenerSchema, {
    name: "virtualInbound",
    address: socketAddress("0.0.0.0", 15006),
    trafficDirection: TrafficDirection.INBOUND,
    filterChains: [
      create(FilterChainSchema, {
        name: "virtualInbound-blackhole",
        filterChainMatch: { destinationPort: 15006 },
        filters: [tcpProxy(blackHoleCluster)],
      }),
      ...inboundChains(undeclared, context, undefined),
      ...ports.flatMap((port) => inboundChains(port, context, port.number)),
    ],
    listenerFilters: [
      {
        name: "envoy.filters.listener.original_dst",
        configType: { case: "typedConfig", value: typed(OriginalDstSchema, {}) },
      },
      ...inspectors(planChains(undeclared)),
    ],
    listenerFiltersTimeout: durationFromMs(0),
    continueOnListenerFiltersTimeout: true,
  });
}

/** What looks at the first bytes: TLS always, HTTP only where a chain asks for it. */
export function inspectors(plans: readonly ChainPlan[]): MessageInitShape<typeof ListenerFilterSchema>[] {
  const filters: MessageInitShape<typeof ListenerFilterSchema>[] = [
    {
      name: "envoy.filters.listener.tls_inspector",
      configType: { case: "typedConfig", value: typed(TlsInspectorSchema, { initialReadBufferSize: 512 }) },
    },
  ];
  if (plans.some(({ match }) => match === rawHttp)) {
    filters.push({
      name: "envoy.filters.listener.http_inspector",
      configType: { case: "typedConfig", value: typed(HttpInspectorSchema, {}) },
    });
  }
  return filters;
}

function httpChain(port: InboundPort, { proxy, policies, telemetry }: InboundContext): Filter {
  const cluster = clusterOf(port);
  return httpManager({
    direction: "inbound",
    statPrefix: `inbound_${port.number}`,
    routes: {
      case: "routeConfig",
      value: {
        name: cluster,
        validateClusters: false,
        virtualHosts: [
          {
            name: `inbound|http|${port.servicePort}`,
            domains: ["*"],
            routes: [
              {
                name: "default",
                match: { pathSpecifier: { case: "prefix", value: "/" } },
                decorator: { operation: `${port.service?.host ?? proxy.pod}:${port.servicePort}/*` },
                action: {
                  case: "route",
                  value: {
                    clusterSpecifier: { case: "cluster", value: cluster },
                    timeout: durationFromMs(0),
                    maxStreamDuration: {
                      maxStreamDuration: durationFromMs(0),
                      grpcTimeoutHeaderMax: durationFromMs(0),
                    },
                  },
                },
              },
            ],
          },
        ],
      },
    },
    filters: policies.http,
    ...(policies.paths && { paths: policies.paths }),
    accessLogs: telemetry.inboundAccessLogs(proxy.facts, port.service),
    attemptLogs: [],
    ...(telemetry.tracing && { tracing: telemetry.tracing }),
  });
}

function tcpChain(port: InboundPort, { policies }: InboundContext): Filter[] {
  const accessLog = policies.network.length > 0 ? [connectionDenialLog()] : [];
  return [...policies.network, tcpProxy(clusterOf(port), accessLog, port.pool)];
}

/** A port of number 0 stands for all that nobody declared. */
function clusterOf({ number }: InboundPort): string {
  return number === 0 ? inboundPassthroughCluster : inboundCluster(number);
}

function tcpProxy(cluster: string, accessLog: AccessLog[] = [], pool: ConnectionPool = {}): Filter {
  const { tcpIdleTimeout, maxConnectionDuration } = pool;
  const proxy = typed(TcpProxySchema, {
    statPrefix: cluster,
    clusterSpecifier: { case: "cluster", value: cluster },
    accessLog,
    ...(tcpIdleTimeout !== undefined && { idleTimeout: durationFromMs(tcpIdleTimeout) }),
    ...(maxConnectionDuration !== undefined && {
      maxDownstreamConnectionDuration: durationFromMs(maxConnectionDuration),
    }),
  });
  return create(FilterSchema, {
    name: "envoy.filters.network.tcp_proxy",
    configType: { case: "typedConfig", value: proxy },
  });
}
