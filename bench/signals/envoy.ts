/** Real Envoys with the product's statistics, and with or without what the signals add. */
import { readdirSync, readFileSync } from "node:fs";
import { createRegistry, type JsonValue, toJson } from "@bufbuild/protobuf";
import { AccessLogSchema } from "../../envoy/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import {
  StatsConfigSchema,
  StatsSinkSchema,
} from "../../envoy/generated/envoy/config/metrics/v3/stats_pb.js";
import { file_envoy_extensions_access_loggers_filters_cel_v3_cel } from "../../envoy/generated/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js";
import { file_envoy_extensions_access_loggers_open_telemetry_v3_logs_service } from "../../envoy/generated/envoy/extensions/access_loggers/open_telemetry/v3/logs_service_pb.js";
import { file_envoy_extensions_access_loggers_stats_v3_stats } from "../../envoy/generated/envoy/extensions/access_loggers/stats/v3/stats_pb.js";
import { file_envoy_extensions_access_loggers_stream_v3_stream } from "../../envoy/generated/envoy/extensions/access_loggers/stream/v3/stream_pb.js";
import { file_envoy_extensions_matching_actions_transform_stat_v3_transform_stat } from "../../envoy/generated/envoy/extensions/matching/actions/transform_stat/v3/transform_stat_pb.js";
import { file_envoy_extensions_matching_common_inputs_stats_v3_stats } from "../../envoy/generated/envoy/extensions/matching/common_inputs/stats/v3/stats_pb.js";
import { file_envoy_extensions_stat_sinks_open_telemetry_v3_open_telemetry } from "../../envoy/generated/envoy/extensions/stat_sinks/open_telemetry/v3/open_telemetry_pb.js";
import {
  attemptsSwitch,
  canaryClusterKey,
  liveRouteMetadata,
  upstreamAttemptLogs,
} from "../../mesh/build/attempt-log.ts";
import {
  clusterStatSuffix,
  nodePlaceholder,
  statsConfig,
  statsSinks,
} from "../../mesh/build/bootstrap-telemetry.ts";
import { signalsCluster } from "../../mesh/build/signals-cluster.ts";
import { inboundAccessLogs, outboundAccessLogs } from "../../mesh/build/telemetry.ts";
import { freePort, type RunningEnvoy, startEnvoy } from "../../test/support/envoy.ts";
import type { Certificates } from "./certificates.ts";
import { canaryWeight, clusters, nodeId, run } from "./plan.ts";

const registry = createRegistry(
  file_envoy_extensions_access_loggers_filters_cel_v3_cel,
  file_envoy_extensions_access_loggers_open_telemetry_v3_logs_service,
  file_envoy_extensions_access_loggers_stats_v3_stats,
  file_envoy_extensions_access_loggers_stream_v3_stream,
  file_envoy_extensions_matching_actions_transform_stat_v3_transform_stat,
  file_envoy_extensions_matching_common_inputs_stats_v3_stats,
  file_envoy_extensions_stat_sinks_open_telemetry_v3_open_telemetry,
);
const json = { registry, useProtoFieldName: true };
const typeUrl = (name: string): string => `type.googleapis.com/envoy.${name}`;

export interface Wiring {
  readonly primary: number;
  readonly canary: number;
  /** Where proxies tell of themselves. */
  readonly controlPlane: number;
  /** Absent: the control plane is reached in plain text. */
  readonly certificates?: Certificates;
}

/** `signals`: with the stats sink and the log of attempts. `live`: its route is a live canary's. */
export interface Variant {
  readonly proxy: number;
  readonly sink: boolean;
  readonly log: boolean;
  readonly live: boolean;
}

/** An Envoy whose `port` splits requests between the two versions, each behind its own inbound listener. */
export async function startProxy(
  variant: Variant,
  wiring: Wiring,
): Promise<RunningEnvoy & { readonly port: number }> {
  const [port, inboundPrimary, inboundCanary] = await Promise.all([freePort(), freePort(), freePort()]);
  const sinks = JSON.stringify(statsSinks().map((sink): JsonValue => toJson(StatsSinkSchema, sink, json)));
  const envoy = await startEnvoy({
    node: { id: nodeId(variant.proxy), cluster: "bench" },
    stats_flush_interval: "1s",
    stats_config: toJson(StatsConfigSchema, statsConfig(), json),
    ...(variant.sink
      ? { stats_sinks: JSON.parse(sinks.replaceAll(nodePlaceholder, nodeId(variant.proxy))) as JsonValue }
      : {}),
    // What the control plane's runtime layer says while no canary is live.
    ...(variant.live
      ? {}
      : { layered_runtime: { layers: [{ name: "fl", static_layer: { [attemptsSwitch]: 0 } }] } }),
    static_resources: {
      listeners: [
        outbound(port, variant),
        inbound("primary", inboundPrimary),
        inbound("canary", inboundCanary),
      ],
      clusters: [
        cluster(clusters.primary, inboundPrimary),
        cluster(clusters.canary, inboundCanary),
        cluster("inbound|primary", wiring.primary),
        cluster("inbound|canary", wiring.canary),
        { ...cluster(signalsCluster, wiring.controlPlane), ...tls(wiring.certificates) },
      ],
    },
  });
  return { ...envoy, port };
}

function outbound(port: number, { log, live }: Variant) {
  const metadata = {
    filter_metadata: { [liveRouteMetadata]: { run: run.run, [canaryClusterKey]: clusters.canary } },
  };
  const weights = [
    { name: clusters.primary, weight: 100 - canaryWeight },
    { name: clusters.canary, weight: canaryWeight },
  ];
  return listener("outbound", port, {
    accessLog: outboundAccessLogs({ workload: "load", namespace: "demo" }),
    upstreamLog: log ? upstreamAttemptLogs({}) : [],
    route: { route: { weighted_clusters: { clusters: weights } }, ...(live ? { metadata } : {}) },
  });
}

function inbound(arm: "primary" | "canary", port: number) {
  const { workload, host } = run[arm];
  const service = { host, name: workload, namespace: "demo" };
  return listener(`inbound-${arm}`, port, {
    accessLog: inboundAccessLogs({ workload, namespace: "demo" }, service),
    upstreamLog: [],
    route: { route: { cluster: `inbound|${arm}` } },
  });
}

function listener(
  name: string,
  port: number,
  {
    accessLog,
    upstreamLog,
    route,
  }: {
    readonly accessLog: ReturnType<typeof inboundAccessLogs>;
    readonly upstreamLog: ReturnType<typeof inboundAccessLogs>;
    readonly route: object;
  },
) {
  const logs = (list: ReturnType<typeof inboundAccessLogs>): JsonValue[] =>
    list.map((log) => toJson(AccessLogSchema, log, json));
  const router = {
    "@type": typeUrl("extensions.filters.http.router.v3.Router"),
    upstream_log: logs(upstreamLog),
  };
  const manager = {
    "@type": typeUrl("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
    stat_prefix: name,
    access_log: logs(accessLog),
    route_config: {
      virtual_hosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, ...route }] }],
    },
    http_filters: [{ name: "envoy.filters.http.router", typed_config: router }],
  };
  return {
    name,
    address: address(port),
    filter_chains: [
      { filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }] },
    ],
  };
}

function cluster(name: string, port: number) {
  return {
    name,
    alt_stat_name: `${name}${clusterStatSuffix}`,
    type: "STATIC",
    connect_timeout: "1s",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
    },
  };
}

function tls(certificates: Certificates | undefined) {
  if (certificates === undefined) return {};
  const { rootPem, workload } = certificates;
  const transport_socket = {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": typeUrl("extensions.transport_sockets.tls.v3.UpstreamTlsContext"),
      common_tls_context: {
        alpn_protocols: ["http/1.1"],
        tls_certificates: [
          {
            certificate_chain: { inline_string: workload.cert },
            private_key: { inline_string: workload.key },
          },
        ],
        validation_context: { trusted_ca: { inline_string: rootPem } },
      },
    },
  };
  return { transport_socket };
}

function address(port_value: number) {
  return { socket_address: { address: "127.0.0.1", port_value } };
}

/** CPU milliseconds that a process has used, over all its threads. */
export function cpuOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    const [nanoseconds = "0"] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ");
    return sum + Number(nanoseconds) / 1e6;
  }, 0);
}
