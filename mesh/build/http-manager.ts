import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { AccessLog } from "../../envoy/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import {
  type Filter,
  FilterSchema,
} from "../../envoy/generated/envoy/config/listener/v3/listener_components_pb.js";
import { CorsSchema } from "../../envoy/generated/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { HTTPFaultSchema } from "../../envoy/generated/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { OnDemandSchema } from "../../envoy/generated/envoy/extensions/filters/http/on_demand/v3/on_demand_pb.js";
import { RouterSchema } from "../../envoy/generated/envoy/extensions/filters/http/router/v3/router_pb.js";
import {
  HttpConnectionManager_ForwardClientCertDetails as ClientCertificate,
  HttpConnectionManagerSchema,
  type HttpFilter,
  HttpFilterSchema,
  HttpConnectionManager_ServerHeaderTransformation as ServerHeader,
} from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { pathSettings } from "../../policy/envoy/path.ts";
import type { PathNormalization } from "../../policy/path/normalize.ts";
import { alpnFilter, noAlpn } from "./alpn.ts";
import { typed } from "./any.ts";
import { corsFilter } from "./cors.ts";
import { faultFilter } from "./fault.ts";
import { durationFromMs, fromAds } from "./values.ts";
import type { Telemetry } from "./workload-filters.ts";

export interface HttpManagerInput {
  readonly direction: "inbound" | "outbound" | "gateway";
  readonly statPrefix: string;
  readonly routes: MessageInitShape<typeof HttpConnectionManagerSchema>["routeSpecifier"];
  /** Whether clusters that the proxy has not got are asked for at the first request that a route sends there. */
  readonly onDemand?: boolean;
  /** Before fault, cors and the router. */
  readonly filters: readonly HttpFilter[];
  /** Inbound: how paths are normalised before the filters see them, BASE by default. */
  readonly paths?: PathNormalization;
  /** Between cors and the router. */
  readonly lastFilters?: readonly HttpFilter[];
  readonly accessLogs: AccessLog[];
  /** Of the router: one entry an attempt. */
  readonly attemptLogs: AccessLog[];
  readonly tracing?: Telemetry["tracing"];
}

/** @see envoy.extensions.filters.http.on_demand.v3.OnDemand: a request waits 5 s at most, which is its default */
const onDemand = { odcds: { source: fromAds() } };

/**
 * Builds the HTTP connection manager as a network filter, with Istio's settings: no idle timeout of streams, dot
 * segments resolved (BASE normalisation unless another is given), WebSocket upgrades, the server's own `server` header.
 *
 * Inbound, the client's certificate is appended to x-forwarded-client-cert. A gateway takes nobody's word for who the
 * client is: its address and certificate are what the connection shows.
 *
 * @see envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
 */
export function httpManager(input: HttpManagerInput): Filter {
  const { direction, statPrefix, routes, filters, lastFilters = [], accessLogs, attemptLogs } = input;
  const { paths = "BASE" } = input;
  const manager = typed(HttpConnectionManagerSchema, {
    statPrefix,
    ...(routes && { routeSpecifier: routes }),
    httpFilters: [
      // The first: the request begins anew once the cluster is there.
      ...(input.onDemand === true
        ? [httpFilter("envoy.filters.http.on_demand", typed(OnDemandSchema, onDemand))]
        : []),
      ...filters,
      httpFilter(faultFilter, typed(HTTPFaultSchema, {})),
      httpFilter(corsFilter, typed(CorsSchema, {})),
      ...(direction === "outbound" ? [httpFilter(alpnFilter, noAlpn())] : []),
      ...lastFilters,
      httpFilter("envoy.filters.http.router", typed(RouterSchema, { upstreamLog: attemptLogs })),
    ],
    accessLog: accessLogs,
    ...(input.tracing && { tracing: input.tracing }),
    useRemoteAddress: direction === "gateway",
    ...pathSettings(paths),
    serverHeaderTransformation: ServerHeader.PASS_THROUGH,
    streamIdleTimeout: durationFromMs(0),
    upgradeConfigs: [{ upgradeType: "websocket" }],
    ...(direction === "inbound"
      ? {
          forwardClientCertDetails: ClientCertificate.APPEND_FORWARD,
          setCurrentClientCertDetails: { subject: true, uri: true, dns: true },
        }
      : direction === "gateway"
        ? {
            forwardClientCertDetails: ClientCertificate.SANITIZE_SET,
            setCurrentClientCertDetails: { subject: true, cert: true, uri: true, dns: true },
          }
        : {}),
  });
  return create(FilterSchema, {
    name: "envoy.filters.network.http_connection_manager",
    configType: { case: "typedConfig", value: manager },
  });
}

export function httpFilter(name: string, config: ReturnType<typeof typed>): HttpFilter {
  return create(HttpFilterSchema, { name, configType: { case: "typedConfig", value: config } });
}
