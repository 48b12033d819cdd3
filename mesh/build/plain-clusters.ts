import { isIPv6 } from "node:net";
import { create } from "@bufbuild/protobuf";
import {
  type Cluster,
  ClusterSchema,
  Cluster_DiscoveryType as Discovery,
  Cluster_DnsLookupFamily as DnsFamily,
  Cluster_LbPolicy as LbPolicy,
} from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import { BindConfigSchema } from "../../envoy/generated/envoy/config/core/v3/address_pb.js";
import { ClusterConfigSchema } from "../../envoy/generated/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js";
import { DnsCacheConfigSchema } from "../../envoy/generated/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache_pb.js";
import type { InboundPort } from "../model/inbound.ts";
import { blackHoleCluster, inboundCluster, passthroughCluster } from "../model/names.ts";
import type { Proxy } from "../model/proxy.ts";
import { isHttp2 } from "../model/service.ts";
import { typed } from "./any.ts";
import { httpOptions, upstreamHttp } from "./http-options.ts";
import { durationFromMs, socketAddress, unlimited } from "./values.ts";

/** Cluster that leads to the pod's own HTTP proxy, for requests that came in a tunnel. */
export const ownHttpProxyCluster = "own-http-proxy";
export const inboundPassthroughCluster = "InboundPassthroughCluster";

const connectTimeout = durationFromMs(10_000);
const limits = {
  thresholds: [
    {
      maxConnections: unlimited,
      maxPendingRequests: unlimited,
      maxRequests: unlimited,
      maxRetries: unlimited,
    },
  ],
};

/** One cache of names for filter and cluster: Envoy wants both to say the same. */
export const dnsCache = create(DnsCacheConfigSchema, {
  name: "passthrough",
  dnsLookupFamily: DnsFamily.V4_PREFERRED,
});

/** Resolves each request's own host. @param insecure whether a user's own rule says whether there is TLS, and to whom */
export function forwardProxyCluster(insecure: boolean) {
  return {
    case: "clusterType" as const,
    value: {
      name: "envoy.clusters.dynamic_forward_proxy",
      typedConfig: typed(ClusterConfigSchema, {
        clusterImplementationSpecifier: { case: "dnsCacheConfig", value: dnsCache },
        ...(insecure && { allowInsecureClusterOptions: true }),
      }),
    },
  };
}

/** Answers nothing: connections to it end at once. */
export function blackHole(): Cluster {
  return create(ClusterSchema, {
    name: blackHoleCluster,
    clusterDiscoveryType: { case: "type", value: Discovery.STATIC },
    connectTimeout,
  });
}

/** Where requests to undeclared hosts go: to the address that iptables caught, else to what the name resolves to. */
export function passthrough({ interception }: Pick<Proxy, "interception">): Cluster {
  if (interception === "REDIRECT") return originalDestination(passthroughCluster);
  return create(ClusterSchema, {
    name: passthroughCluster,
    connectTimeout,
    lbPolicy: LbPolicy.CLUSTER_PROVIDED,
    circuitBreakers: limits,
    clusterDiscoveryType: forwardProxyCluster(false),
  });
}

/** Requests to a port of the pod that nobody declared; from another address, so that iptables lets them pass. */
export function inboundPassthrough({ ip }: Pick<Proxy, "ip">): Cluster {
  const cluster = originalDestination(inboundPassthroughCluster);
  cluster.upstreamBindConfig = passingSource(ip);
  return cluster;
}

/** The source that the rules of the init container let pass. */
function passingSource(ip: string) {
  const address = isIPv6(ip) ? "::6" : "127.0.0.6";
  return create(BindConfigSchema, {
    sourceAddress: { address, portSpecifier: { case: "portValue", value: 0 } },
  });
}

function originalDestination(name: string): Cluster {
  return create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Discovery.ORIGINAL_DST },
    lbPolicy: LbPolicy.CLUSTER_PROVIDED,
    connectTimeout,
    circuitBreakers: limits,
    typedExtensionProtocolOptions: { [httpOptions]: upstreamHttp("as-asked", { idleTimeout: 300_000 }) },
  });
}

/** The application behind one of a sidecar's ports. */
export function inbound(
  { appAddress, interception, ip }: Pick<Proxy, "appAddress" | "interception" | "ip">,
  { number, protocol }: Pick<InboundPort, "number" | "protocol">,
): Cluster {
  const http = isHttp2(protocol) ? "http2" : protocol === "undeclared" ? "as-asked" : "http1";
  const cluster = fixed(inboundCluster(number), appAddress, number, http);
  // To the pod's own address: iptables must see that it comes from the proxy, or they bring it back.
  if (interception === "REDIRECT" && appAddress === ip) cluster.upstreamBindConfig = passingSource(ip);
  return cluster;
}

export function ownHttpProxy({ ip, httpProxyPort }: Pick<Proxy, "ip" | "httpProxyPort">): Cluster {
  return fixed(ownHttpProxyCluster, ip, httpProxyPort, "http1");
}

function fixed(
  name: string,
  address: string,
  port: number,
  http: Parameters<typeof upstreamHttp>[0],
): Cluster {
  return create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Discovery.STATIC },
    connectTimeout,
    circuitBreakers: limits,
    typedExtensionProtocolOptions: { [httpOptions]: upstreamHttp(http) },
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: [
            { hostIdentifier: { case: "endpoint", value: { address: socketAddress(address, port) } } },
          ],
        },
      ],
    },
  });
}
