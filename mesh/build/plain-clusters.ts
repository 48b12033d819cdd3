import { isIPv6 } from "node:net";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Cluster,
  ClusterSchema,
  Cluster_DiscoveryType as Discovery,
  Cluster_DnsLookupFamily as DnsFamily,
  Cluster_LbPolicy as LbPolicy,
} from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import {
  type AddressSchema,
  BindConfigSchema,
} from "../../envoy/generated/envoy/config/core/v3/address_pb.js";
import { ClusterConfigSchema } from "../../envoy/generated/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js";
import { DnsCacheConfigSchema } from "../../envoy/generated/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache_pb.js";
import { FilterConfigSchema as ForwardProxySchema } from "../../envoy/generated/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.js";
import type { ConnectionPool } from "../model/destination-policy.ts";
import type { InboundPort } from "../model/inbound.ts";
import { blackHoleCluster, inboundCluster, passthroughCluster } from "../model/names.ts";
import { type Proxy, sharesLoopback } from "../model/proxy.ts";
import { isHttp2 } from "../model/service.ts";
import { typed } from "./any.ts";
import { httpFilter } from "./http-manager.ts";
import { httpOptions, upstreamHttp } from "./http-options.ts";
import { buildConnect, buildLimits } from "./pool.ts";
import { durationFromMs, pipe, socketAddress } from "./values.ts";

/** Cluster that leads to the pod's own HTTP proxy, for requests that came in a tunnel. */
export const ownHttpProxyCluster = "own-http-proxy";
export const inboundPassthroughCluster = "InboundPassthroughCluster";

const connectTimeout = durationFromMs(10_000);
const limits = { thresholds: [buildLimits({})] };

/** One cache of names for filter and cluster: Envoy wants both to say the same. */
const dnsCache = create(DnsCacheConfigSchema, {
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

/** Resolves the host of a request to such a cluster before the request goes on; others pass. */
export function forwardProxyFilter() {
  return httpFilter(
    "envoy.filters.http.dynamic_forward_proxy",
    typed(ForwardProxySchema, { implementationSpecifier: { case: "dnsCacheConfig", value: dnsCache } }),
  );
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
  proxy: Pick<Proxy, "appAddress" | "interception" | "ip">,
  { number, protocol, pool, ingress }: Pick<InboundPort, "number" | "protocol" | "pool" | "ingress">,
): Cluster {
  const { interception, ip } = proxy;
  const http2 = isHttp2(protocol) || pool?.upgradeToHttp2 === true;
  const asAsked = pool?.clientProtocol === true || (protocol === "undeclared" && !http2);
  const endpoint = ingress?.endpoint ?? { kind: "application", port: number };
  const address = endpoint.kind === "socket" ? "" : applicationAddress(endpoint.kind, proxy);
  const cluster = fixed(
    inboundCluster(number),
    endpoint.kind === "socket" ? pipe(endpoint.path) : socketAddress(address, endpoint.port),
    asAsked ? "as-asked" : http2 ? "http2" : "http1",
    pool,
  );
  // To the pod's own address: iptables must see that it comes from the proxy, or they bring it back.
  if (interception === "REDIRECT" && address === ip) cluster.upstreamBindConfig = passingSource(ip);
  return cluster;
}

function applicationAddress(
  kind: "loopback" | "instance" | "application",
  proxy: Pick<Proxy, "appAddress" | "interception" | "ip">,
): string {
  if (kind === "application" || sharesLoopback(proxy)) return proxy.appAddress;
  return kind === "loopback" ? "127.0.0.1" : proxy.ip;
}

export function ownHttpProxy({ ip, httpProxyPort }: Pick<Proxy, "ip" | "httpProxyPort">): Cluster {
  return fixed(ownHttpProxyCluster, socketAddress(ip, httpProxyPort), "http1");
}

function fixed(
  name: string,
  address: MessageInitShape<typeof AddressSchema>,
  http: Parameters<typeof upstreamHttp>[0],
  pool?: ConnectionPool,
): Cluster {
  return create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Discovery.STATIC },
    ...buildConnect(pool),
    circuitBreakers: { thresholds: [buildLimits(pool === undefined ? {} : { connectionPool: pool })] },
    typedExtensionProtocolOptions: { [httpOptions]: upstreamHttp(http, pool) },
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: { address } } }],
        },
      ],
    },
  });
}
