/** What one Envoy needs to split requests between two services by runtime weights, and to tell of each attempt. */
import { create, fromJson } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import type { AccessLog } from "../../envoy/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import { ClusterSchema } from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "../../envoy/generated/envoy/config/route/v3/route_pb.js";
import { RouterSchema } from "../../envoy/generated/envoy/extensions/filters/http/router/v3/router_pb.js";
import { HttpConnectionManagerSchema } from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { RuntimeSchema } from "../../envoy/generated/envoy/service/runtime/v3/rtds_pb.js";
import { encodeResource } from "../../mesh/build/resource.ts";
import { resourceSet } from "../../mesh/build/resource-set.ts";
import { signalsCluster } from "../../mesh/build/signals-cluster.ts";
import type { View } from "../../mesh/build/view.ts";

export const hosts = {
  primary: "shop-primary.demo.svc.cluster.local",
  canary: "shop-canary.demo.svc.cluster.local",
} as const;
const clusters = {
  primary: `outbound|80||${hosts.primary}`,
  canary: `outbound|80||${hosts.canary}`,
} as const;
const keyPrefix = "fl.w.demo.shop";

export interface RawPorts {
  readonly egress: number;
  readonly primary: number;
  readonly canary: number;
}

/**
 * Everything but the weights: built once, as in the product, where a weight is a runtime key alone.
 *
 * @param upstreamLog what is told of each attempt
 */
export function rawResources(
  ports: RawPorts,
  upstreamLog: readonly AccessLog[],
): (canaryWeight: number) => View {
  const fixed = {
    cluster: [
      resourceSet([cluster(clusters.primary, ports.primary), cluster(clusters.canary, ports.canary)]),
    ],
    endpoint: [],
    listener: [resourceSet([listener(ports.egress, upstreamLog)])],
    route: [resourceSet([routes()])],
    secret: [],
  };
  const runtimeKeys = new Set(Object.values(clusters).map((name) => `${keyPrefix}.${name}`));
  return (canaryWeight) => ({
    resources: { ...fixed, runtime: [resourceSet([weights(canaryWeight)])] },
    plainRoutes: [],
    runtimeKeys,
  });
}

function cluster(name: string, port: number) {
  const endpoint = { address: { socketAddress: { address: "127.0.0.1", portValue: port } } };
  const message = fromJson(ClusterSchema, {
    name,
    type: "STATIC",
    connectTimeout: "1s",
    loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ endpoint }] }] },
  });
  return encodeResource("cluster", name, ClusterSchema, message);
}

function listener(port: number, upstreamLog: readonly AccessLog[]) {
  const router = create(RouterSchema, { upstreamLog: [...upstreamLog] });
  const manager = create(HttpConnectionManagerSchema, {
    statPrefix: "raw",
    routeSpecifier: {
      case: "rds",
      value: {
        routeConfigName: "raw",
        configSource: { resourceApiVersion: 2, configSourceSpecifier: { case: "ads", value: {} } },
      },
    },
    httpFilters: [
      {
        name: "envoy.filters.http.router",
        configType: { case: "typedConfig", value: anyPack(RouterSchema, router) },
      },
    ],
  });
  const message = create(ListenerSchema, {
    name: "raw",
    address: {
      address: {
        case: "socketAddress",
        value: { address: "127.0.0.1", portSpecifier: { case: "portValue", value: port } },
      },
    },
    filterChains: [
      {
        filters: [
          {
            name: "envoy.filters.network.http_connection_manager",
            configType: { case: "typedConfig", value: anyPack(HttpConnectionManagerSchema, manager) },
          },
        ],
      },
    ],
  });
  return encodeResource("listener", "raw", ListenerSchema, message);
}

function routes() {
  const message = fromJson(RouteConfigurationSchema, {
    name: "raw",
    virtualHosts: [
      {
        name: "shop",
        domains: ["*"],
        routes: [
          {
            match: { prefix: "/" },
            // The product's mark of a live canary: it switches the log of attempts on.
            metadata: {
              filterMetadata: { fairlead: { run: "raw", canary: "raw", canary_cluster: clusters.canary } },
            },
            route: {
              weightedClusters: {
                runtimeKeyPrefix: keyPrefix,
                clusters: [
                  { name: clusters.primary, weight: 1_000_000 },
                  { name: clusters.canary, weight: 0 },
                ],
              },
            },
          },
        ],
      },
    ],
  });
  return encodeResource("route", "raw", RouteConfigurationSchema, message);
}

function weights(canaryWeight: number) {
  const layer = {
    [`${keyPrefix}.${clusters.primary}`]: 1_000_000 - canaryWeight * 10_000,
    [`${keyPrefix}.${clusters.canary}`]: canaryWeight * 10_000,
  };
  return encodeResource("runtime", "fl", RuntimeSchema, create(RuntimeSchema, { name: "fl", layer }));
}

/** The bootstrap of the one Envoy: everything else by delta ADS from `xdsPort`; its attempts go to `signalsPort`. */
export function rawBootstrap(xdsPort: number, signalsPort?: number): Record<string, unknown> {
  const ads = { resource_api_version: "V3", ads: {}, initial_fetch_timeout: "5s" };
  const options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
  const discovery = {
    ...controlPlane("xds-grpc", xdsPort),
    typed_extension_protocol_options: {
      [options]: {
        "@type": `type.googleapis.com/${options}`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
  return {
    node: { id: "raw", cluster: "raw" },
    dynamic_resources: {
      ads_config: {
        api_type: "DELTA_GRPC",
        transport_api_version: "V3",
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: "xds-grpc" } }],
      },
      cds_config: ads,
      lds_config: ads,
    },
    layered_runtime: { layers: [{ name: "fl", rtds_layer: { name: "fl", rtds_config: ads } }] },
    static_resources: {
      clusters: [
        discovery,
        ...(signalsPort === undefined ? [] : [controlPlane(signalsCluster, signalsPort)]),
      ],
    },
  };
}

function controlPlane(name: string, port_value: number) {
  const endpoint = { address: { socket_address: { address: "127.0.0.1", port_value } } };
  return {
    name,
    type: "STATIC",
    connect_timeout: "1s",
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint }] }] },
  };
}
