import type { AgentConfig } from "./config.ts";
import { rootSecret, workloadSecret } from "./sds-server.ts";

/** Istio's names of the clusters that every sidecar has from its start; listeners and secrets refer to them. */
const discoveryCluster = "xds-grpc";
const secretCluster = "sds-grpc";
const statsCluster = "prometheus_stats";
/** Where reports and attempts go, and what stands there for the node's id: as `mesh/build` names them. */
const signalsCluster = "fairlead-signals";
const nodePlaceholder = "FAIRLEAD_NODE_ID";

/** Istio's ports of a sidecar. */
export const ports = { admin: 15000, agent: 15020, health: 15021, stats: 15090 } as const;

/** The parts of a bootstrap that say what a proxy reports, as `mesh/build/bootstrap-telemetry.ts` builds them, in JSON. */
export interface TelemetryBootstrap {
  readonly stats_config: object;
  readonly stats_sinks: readonly object[];
}

/**
 * Envoy's bootstrap for one sidecar.
 *
 * Everything else comes from delta ADS on the control plane's TLS port, over a connection that shows the workload's
 * own certificate. In the loopback data path every address is the pod's own, also the source of what it sends, so
 * that peers see the pod.
 *
 * @param socket path of the agent's SDS socket
 * @see envoy.config.bootstrap.v3.Bootstrap
 */
export function buildBootstrap(config: AgentConfig, socket: string, telemetry: TelemetryBootstrap): object {
  const node = buildNode(config);
  return {
    node,
    admin: { address: socketAddress(adminAddress(config), ports.admin) },
    dynamic_resources: {
      ads_config: {
        api_type: "DELTA_GRPC",
        transport_api_version: "V3",
        // else each ACK carries the node's 61 KB
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: discoveryCluster, retry_policy: reconnect } }],
      },
      // 0: a proxy without configuration is never called ready
      cds_config: { resource_api_version: "V3", initial_fetch_timeout: "0s", ads: {} },
      lds_config: { resource_api_version: "V3", initial_fetch_timeout: "0s", ads: {} },
    },
    layered_runtime: {
      layers: [
        { name: "base", static_layer: {} },
        {
          name: "fl",
          rtds_layer: {
            name: "fl",
            rtds_config: { resource_api_version: "V3", initial_fetch_timeout: "5s", ads: {} },
          },
        },
        { name: "admin", admin_layer: {} },
      ],
    },
    static_resources: {
      clusters: [discovery(config), signals(config), secrets(socket), adminCluster(config)],
      listeners: [statsListener(config)],
    },
    ...bindUpstream(config),
    // fixed for the life of the process, so never a knob
    stats_flush_interval: "1s",
    stats_config: telemetry.stats_config,
    stats_sinks: JSON.parse(JSON.stringify(telemetry.stats_sinks).replaceAll(nodePlaceholder, node.id)),
  };
}

/** What all connections to others have: the pod's own address, or a mark. */
function bindUpstream({ loopback, podIp, socketMark }: AgentConfig): object {
  if (!loopback && socketMark === undefined) return {};
  const source_address = { address: loopback ? podIp : "0.0.0.0", port_value: 0 };
  // SO_MARK of SOL_SOCKET on Linux.
  const mark = { level: 1, name: 36, int_value: socketMark, state: "STATE_PREBIND" };
  return {
    cluster_manager: {
      upstream_bind_config: {
        source_address,
        ...(socketMark === undefined ? {} : { socket_options: [mark] }),
      },
    },
  };
}

/** Envoy's admin is for this pod alone: its own loopback, which in the loopback data path is the pod's address. */
export function adminAddress({ loopback, podIp }: AgentConfig): string {
  return loopback ? podIp : "127.0.0.1";
}

/** Id, cluster and metadata as Istio's, so that any control plane of that style knows the proxy. */
function buildNode(config: AgentConfig): { readonly id: string } & Readonly<Record<string, unknown>> {
  const { kind, podName, namespace, podIp, domain, labels, metadata, appAddress } = config;
  const canonicalName = labels["service.istio.io/canonical-name"] || metadata.WORKLOAD_NAME || podName;
  return {
    id: `${kind}~${podIp}~${podName}.${namespace}~${domain}`,
    cluster: `${canonicalName}.${namespace}`,
    metadata: {
      ...metadata,
      NAME: podName,
      NAMESPACE: namespace,
      SERVICE_ACCOUNT: config.serviceAccount,
      INSTANCE_IPS: podIp,
      LABELS: { ...labels },
      ...(appAddress === podIp ? {} : { FAIRLEAD_APP_ADDRESS: appAddress }),
    },
  };
}

function discovery(config: AgentConfig): object {
  const { host, port } = splitAddress(config.discoveryAddress);
  return {
    ...controlPlane(discoveryCluster, host, port, "h2"),
    typed_extension_protocol_options: http2Options({
      connection_keepalive: { interval: "10s", timeout: "5s" },
    }),
    upstream_connection_options: { tcp_keepalive: { keepalive_time: 300 } },
    // reconnects of many proxies must not be limited by the defaults of a busy service
    circuit_breakers: {
      thresholds: [{ max_connections: 100_000, max_pending_requests: 100_000, max_requests: 100_000 }],
    },
  };
}

/** What the proxy tells, reports each second and attempts as they end: the port after the control plane's takes them. */
function signals(config: AgentConfig): object {
  const { host, port } = splitAddress(config.discoveryAddress);
  return {
    ...controlPlane(signalsCluster, host, port + 1, "http/1.1"),
    // The proxy closes what it does not use, before the control plane would: none is lost in between.
    typed_extension_protocol_options: httpOptions({
      common_http_protocol_options: { idle_timeout: "600s" },
      explicit_http_config: { http_protocol_options: {} },
    }),
    // Enough for what a busy proxy sends while it waits for answers; more would make a slow control plane slower.
    circuit_breakers: { thresholds: [{ max_connections: 8 }] },
  };
}

/** A cluster to the control plane, over TLS with the workload's own certificate. */
function controlPlane(name: string, host: string, port: number, protocol: string): object {
  const byAddress = /^[\d.]+$|:/.test(host);
  return {
    name,
    type: byAddress ? "STATIC" : "STRICT_DNS",
    connect_timeout: "1s",
    load_assignment: oneEndpoint(name, socketAddress(host, port)),
    transport_socket: {
      name: "envoy.transport_sockets.tls",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni: byAddress ? "istiod.istio-system.svc" : host,
        common_tls_context: {
          alpn_protocols: [protocol],
          tls_params: { tls_minimum_protocol_version: "TLSv1_2" },
          tls_certificate_sds_secret_configs: [secretConfig(workloadSecret)],
          combined_validation_context: {
            default_validation_context: {
              match_typed_subject_alt_names: [
                { san_type: byAddress ? "IP_ADDRESS" : "DNS", matcher: { exact: host } },
              ],
            },
            validation_context_sds_secret_config: secretConfig(rootSecret),
          },
        },
      },
    },
  };
}

/**
 * How soon a proxy comes back to a control plane that was away. Envoy's own is up to 30 s: so long a rollback that
 * was stored meanwhile would not reach it. The delay is drawn at random below the interval, so that many do not come
 * at once.
 */
const reconnect = { retry_back_off: { base_interval: "0.1s", max_interval: "1s" } };

/** How anything in this proxy refers to a secret of the agent's. */
function secretConfig(name: string): object {
  return {
    name,
    sds_config: {
      resource_api_version: "V3",
      initial_fetch_timeout: "0s",
      api_config_source: {
        api_type: "DELTA_GRPC",
        transport_api_version: "V3",
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: secretCluster } }],
      },
    },
  };
}

function secrets(socket: string): object {
  return {
    name: secretCluster,
    type: "STATIC",
    connect_timeout: "1s",
    load_assignment: oneEndpoint(secretCluster, { pipe: { path: socket } }),
    typed_extension_protocol_options: http2Options({}),
  };
}

function adminCluster(config: AgentConfig): object {
  return {
    name: statsCluster,
    type: "STATIC",
    connect_timeout: "0.25s",
    load_assignment: oneEndpoint(statsCluster, socketAddress(adminAddress(config), ports.admin)),
  };
}

/** Envoy's own Prometheus page, and nothing else of its admin, for whoever scrapes the pod. */
function statsListener({ loopback, podIp }: AgentConfig): object {
  const manager = {
    "@type":
      "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    stat_prefix: "stats",
    codec_type: "AUTO",
    http_filters: [
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
      },
    ],
    route_config: {
      virtual_hosts: [
        {
          name: "backend",
          domains: ["*"],
          routes: [{ match: { path: "/stats/prometheus" }, route: { cluster: statsCluster, timeout: "5s" } }],
        },
      ],
    },
  };
  return {
    name: "stats",
    address: socketAddress(loopback ? podIp : "0.0.0.0", ports.stats),
    filter_chains: [
      { filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: manager }] },
    ],
  };
}

function http2Options(http2_protocol_options: object): object {
  return httpOptions({ explicit_http_config: { http2_protocol_options } });
}

function httpOptions(options: object): object {
  const name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
  return { [name]: { "@type": `type.googleapis.com/${name}`, ...options } };
}

function oneEndpoint(cluster_name: string, address: object): object {
  return { cluster_name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] };
}

function socketAddress(address: string, port_value: number): object {
  return { socket_address: { address, port_value } };
}

/** `host:port`, also `[v6]:port`. */
function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const [, host = address, port] = /^\[?(.*?)\]?(?::(\d+))?$/.exec(address) ?? [];
  return { host, port: Number(port ?? 15012) };
}
