import { create, fromBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import {
  ClusterSchema,
  Cluster_DiscoveryType as Discovery,
  Cluster_LbPolicy as LbPolicy,
} from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import { LocalitySchema } from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import { ClusterLoadAssignmentSchema } from "../../envoy/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";
import type { VirtualHost } from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../../envoy/generated/envoy/config/route/v3/route_pb.js";
import { HTTPFaultSchema } from "../../envoy/generated/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { RouterSchema } from "../../envoy/generated/envoy/extensions/filters/http/router/v3/router_pb.js";
import { HttpConnectionManagerSchema } from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { typed } from "./any.ts";
import { faultFilter } from "./fault.ts";
import { httpFilter } from "./http-manager.ts";
import { encodeResource, type Resource } from "./resource.ts";
import { type Layers, noResources, resourceSet } from "./resource-set.ts";
import { fromAds } from "./values.ts";
import type { View } from "./view.ts";

const views = new WeakMap<View, View>();
const adapted = new WeakMap<Resource, readonly Resource[]>();

/**
 * A sidecar's view as a gRPC client reads it that is its own proxy (`GENERATOR: grpc`): a listener `<host>:<port>` and a
 * route table of its own for each host, with the real weights, and clusters and endpoints without what such clients
 * refuse. The same object for the same view.
 *
 * They speak in the clear: the certificates of the mesh come by SDS, which they know not.
 *
 * @see https://github.com/grpc/proposal/blob/master/A27-xds-global-load-balancing.md
 */
export function grpcView(view: View): View {
  const known = views.get(view);
  if (known !== undefined) return known;
  const tables = adapt(view.plainRoutes, adaptTable);
  const routes = [resourceSet(tables.filter(({ type }) => type === "route"))];
  const made: View = {
    resources: {
      ...view.resources,
      runtime: [noResources],
      cluster: [resourceSet(adapt(view.resources.cluster, adaptCluster))],
      endpoint: [resourceSet(adapt(view.resources.endpoint, adaptEndpoints))],
      listener: [resourceSet(tables.filter(({ type }) => type === "listener"))],
      route: routes,
    },
    plainRoutes: routes,
    runtimeKeys: new Set(),
  };
  views.set(view, made);
  return made;
}

/** Each resource is adapted once, however many views it stands in. */
function adapt(
  layers: Layers,
  by: (resource: Resource, bytes: Uint8Array) => readonly Resource[],
): Resource[] {
  return layers.flatMap((set) =>
    [...set.values()].flatMap((resource) => {
      const known = adapted.get(resource) ?? by(resource, fromBinary(AnySchema, resource.any).value);
      adapted.set(resource, known);
      return known;
    }),
  );
}

function adaptTable({ sources }: Resource, bytes: Uint8Array): readonly Resource[] {
  return fromBinary(RouteConfigurationSchema, bytes).virtualHosts.flatMap((host) => {
    const [, name, port] = /^(.+):(\d+)$/.exec(host.name) ?? [];
    if (name === undefined || port === undefined) return [];
    const table = `outbound|${port}||${name}`;
    const routes = create(RouteConfigurationSchema, {
      name: table,
      virtualHosts: [withoutUnknown(host, [`${name}:${port}`, name])],
    });
    const manager = create(HttpConnectionManagerSchema, {
      routeSpecifier: { case: "rds", value: { routeConfigName: table, configSource: fromAds() } },
      httpFilters: [
        httpFilter(faultFilter, typed(HTTPFaultSchema, {})),
        httpFilter("envoy.filters.http.router", typed(RouterSchema, {})),
      ],
    });
    const listener = create(ListenerSchema, {
      name: host.name,
      apiListener: { apiListener: typed(HttpConnectionManagerSchema, manager) },
    });
    return [
      encodeResource("listener", host.name, ListenerSchema, listener),
      encodeResource("route", table, RouteConfigurationSchema, routes, sources),
    ];
  });
}

/** Settings of filters that are not there would have the table refused. */
function withoutUnknown(host: VirtualHost, names: readonly string[]): VirtualHost {
  const routes = host.routes.map((route) => {
    const fault = route.typedPerFilterConfig[faultFilter];
    return { ...route, typedPerFilterConfig: fault === undefined ? {} : { [faultFilter]: fault } };
  });
  return { ...host, domains: [...new Set([...names, ...host.domains])], routes, typedPerFilterConfig: {} };
}

function adaptCluster({ name, sources }: Resource, bytes: Uint8Array): readonly Resource[] {
  const { clusterDiscoveryType: by, circuitBreakers } = fromBinary(ClusterSchema, bytes);
  if (by.case !== "type" || by.value !== Discovery.EDS) return [];
  const cluster = create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Discovery.EDS },
    edsClusterConfig: { edsConfig: fromAds() },
    lbPolicy: LbPolicy.ROUND_ROBIN,
    ...(circuitBreakers && { circuitBreakers }),
  });
  return [encodeResource("cluster", name, ClusterSchema, cluster, sources)];
}

/** A locality without a name or a weight would be passed over. */
function adaptEndpoints({ name, sources }: Resource, bytes: Uint8Array): readonly Resource[] {
  const assignment = fromBinary(ClusterLoadAssignmentSchema, bytes);
  const endpoints = assignment.endpoints.map((group) => ({
    ...group,
    locality: group.locality ?? create(LocalitySchema),
    loadBalancingWeight: group.loadBalancingWeight ?? Math.max(1, group.lbEndpoints.length),
  }));
  const made = create(ClusterLoadAssignmentSchema, { clusterName: assignment.clusterName, endpoints });
  return [encodeResource("endpoint", name, ClusterLoadAssignmentSchema, made, sources)];
}
