/** The parts of a sidecar's bootstrap that make it report: fixed at its start, so the same for every proxy. */
import { create } from "@bufbuild/protobuf";
import { ApiVersion } from "../../envoy/generated/envoy/config/core/v3/config_source_pb.js";
import {
  HistogramEmitMode,
  MetricsServiceConfigSchema,
} from "../../envoy/generated/envoy/config/metrics/v3/metrics_service_pb.js";
import {
  type StatsConfig,
  StatsConfigSchema,
  type StatsSink,
  StatsSinkSchema,
} from "../../envoy/generated/envoy/config/metrics/v3/stats_pb.js";
import { typed } from "./any.ts";
import { controlPlaneCluster, statsPrefix } from "./telemetry.ts";

/** Seconds between two reports of a proxy; fixed by the bootstrap, so never a knob. */
export const statsFlushSeconds = 1;

/**
 * Where counters go each second: cumulative, so that a lost or repeated report is harmless.
 *
 * @see envoy.config.metrics.v3.MetricsServiceConfig
 */
export function statsSinks(): StatsSink[] {
  return [
    create(StatsSinkSchema, {
      name: "envoy.stat_sinks.metrics_service",
      configType: {
        case: "typedConfig",
        value: typed(MetricsServiceConfigSchema, {
          grpcService: {
            targetSpecifier: { case: "envoyGrpc", value: { clusterName: controlPlaneCluster } },
          },
          transportApiVersion: ApiVersion.V3,
          reportCountersAsDeltas: false,
          emitTagsAsLabels: true,
          histogramEmitMode: HistogramEmitMode.HISTOGRAM,
        }),
      },
    }),
  ];
}

/** What ends the cluster's name in its statistics (`alt_stat_name`), so that the dots of a host stay inside it. */
export const clusterStatSuffix = ";";

/**
 * Which statistics exist, and how they are labelled.
 *
 * Only what fairlead reads or an operator needs first: Istio's series, the attempts of outbound clusters,
 * the proxy's own health. Everything else is never created, which keeps a proxy with 500 services small.
 */
export function statsConfig(): StatsConfig {
  const prefixes = [
    `${statsPrefix}.`,
    "server.live",
    "server.uptime",
    "server.state",
    "server.memory",
    "cluster_manager.cds",
    "listener_manager.lds",
    "listener_manager.workers_started",
    "control_plane.",
    "http.inbound",
    "http.outbound",
    "tcp.inbound",
  ];
  return create(StatsConfigSchema, {
    // Envoy's own tag rules would end a cluster's name at its first dot.
    useAllDefaultTags: false,
    statsTags: [
      { tagName: "cluster_name", tagValue: { case: "regex", value: "^cluster\\.((.+?);\\.)" } },
      { tagName: "response_code_class", tagValue: { case: "regex", value: "_rq(_(\\dxx))$" } },
      { tagName: "http_conn_manager_prefix", tagValue: { case: "regex", value: "^http\\.(([^.]+)\\.)" } },
    ],
    statsMatcher: {
      statsMatcher: {
        case: "inclusionList",
        value: {
          patterns: [
            ...prefixes.map((prefix) => ({ matchPattern: { case: "prefix" as const, value: prefix } })),
            {
              matchPattern: {
                case: "safeRegex" as const,
                value: {
                  regex:
                    "cluster\\.outbound.*;\\.(upstream_rq_(completed|5xx|time|total|active)|upstream_cx_(active|connect_fail|total)|membership_(healthy|total))",
                },
              },
            },
            { matchPattern: { case: "contains" as const, value: "rbac" } },
            { matchPattern: { case: "contains" as const, value: "jwt_authn" } },
          ],
        },
      },
    },
  });
}
