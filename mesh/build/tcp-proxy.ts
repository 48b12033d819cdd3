import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Filter,
  FilterSchema,
} from "../../envoy/generated/envoy/config/listener/v3/listener_components_pb.js";
import { TcpProxySchema } from "../../envoy/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { blackHoleCluster } from "../model/names.ts";
import { typed } from "./any.ts";
import type { ConnectionTarget } from "./connection-chains.ts";
import { durationFromMs } from "./values.ts";

/** Passes connections on to one cluster. */
export function tcpTo(cluster: string): Filter {
  return tcpProxy({
    clusters: [{ name: cluster, weight: 1 }],
    idleTimeout: undefined,
    maxDuration: undefined,
    hashesSource: false,
    tunnel: undefined,
  });
}

/** Passes connections on, to clusters by weight; without one they are closed. @see envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy */
export function tcpProxy(target: ConnectionTarget): Filter {
  const { clusters, idleTimeout, maxDuration, hashesSource, tunnel } = target;
  const value = typed(TcpProxySchema, {
    statPrefix: clusters[0]?.name ?? blackHoleCluster,
    clusterSpecifier: specifier(clusters),
    ...(idleTimeout !== undefined && { idleTimeout: durationFromMs(idleTimeout) }),
    ...(maxDuration !== undefined && { maxDownstreamConnectionDuration: durationFromMs(maxDuration) }),
    ...(hashesSource && { hashPolicy: [{ policySpecifier: { case: "sourceIp", value: {} } }] }),
    ...(tunnel && {
      tunnelingConfig: { hostname: `${tunnel.host}:${tunnel.port}`, usePost: tunnel.method === "POST" },
    }),
  });
  return create(FilterSchema, {
    name: "envoy.filters.network.tcp_proxy",
    configType: { case: "typedConfig", value },
  });
}

function specifier(
  clusters: ConnectionTarget["clusters"],
): NonNullable<MessageInitShape<typeof TcpProxySchema>["clusterSpecifier"]> {
  const [only] = clusters;
  if (clusters.length > 1)
    return {
      case: "weightedClusters",
      value: { clusters: clusters.map(({ name, weight }) => ({ name, weight })) },
    };
  return { case: "cluster", value: only?.name ?? blackHoleCluster };
}
