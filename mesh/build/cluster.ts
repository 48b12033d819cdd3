import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Cluster,
  ClusterSchema,
  Cluster_DiscoveryType as Discovery,
  Cluster_DnsLookupFamily as DnsFamily,
  Cluster_LbPolicy as LbPolicy,
} from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import type { ClusterLoadAssignment } from "../../envoy/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import type { TrafficPolicy } from "../model/destination-policy.ts";
import { outboundCluster } from "../model/names.ts";
import { isHttp2, type Protocol, type Service } from "../model/service.ts";
import { clusterStatSuffix } from "./bootstrap-telemetry.ts";
import { httpOptions, upstreamHttp } from "./http-options.ts";
import { buildBalancing } from "./load-balancing.ts";
import { buildOutliers } from "./outliers.ts";
import { forwardProxyCluster } from "./plain-clusters.ts";
import { buildConnect, buildLimits } from "./pool.ts";
import { clusterMetadata } from "./telemetry.ts";
import { buildTransport } from "./transport.ts";
import { durationFromMs, fromAds } from "./values.ts";
import { speaksAsAsked } from "./ways.ts";

/** A Service's port, or a subset of it, as a caller reaches it. */
export interface OutboundClusterInput {
  readonly service: Service;
  readonly port: { readonly number: number; readonly protocol: Protocol };
  /** "" for all endpoints. */
  readonly subset: string;
  readonly policy: TrafficPolicy;
  /** SPIFFE IDs of the pods behind it. */
  readonly identities: readonly string[];
  /** Whether pods with a sidecar are reached by mutual TLS where no policy says otherwise. */
  readonly autoMutualTls: boolean;
  readonly trustDomain: string;
  /** Whether connections go where the client's were bound for; without endpoints of our own. */
  readonly originalDestination: boolean;
  /** Whether a forward proxy's clients say where they go: their host is resolved at each request. */
  readonly byRequestedHost: boolean;
  /** What a cluster carries itself that DNS resolves. */
  readonly assignment: ClusterLoadAssignment | undefined;
  /** Whether all pods behind it have a sidecar: then connections to addresses of which nothing else is known trust that. */
  readonly allMutual: boolean;
}

/**
 * Builds the cluster of a Service's port.
 *
 * Limits that nobody set are unlimited: Envoy's defaults would cut traffic silently.
 *
 * @see envoy.config.cluster.v3.Cluster
 */
export function buildOutboundCluster(input: OutboundClusterInput): Cluster {
  const { service, port, subset, policy } = input;
  const name = outboundCluster(service.host, port.number, subset);
  const { connectionPool: pool, outlierDetection } = policy;
  const http = httpOf(port.protocol, policy);
  const { name: serviceName, namespace, host } = service;
  return create(ClusterSchema, {
    name,
    altStatName: name + clusterStatSuffix,
    ...buildDiscovery(input),
    ...buildConnect(pool),
    circuitBreakers: { thresholds: [buildLimits(policy)] },
    ...(outlierDetection && { outlierDetection: buildOutliers(outlierDetection) }),
    ...buildCommon(policy),
    ...buildTransport({ ...input, host, http }),
    typedExtensionProtocolOptions: {
      [httpOptions]: upstreamHttp(http, pool, outlierDetection?.errorCodes),
    },
    metadata: {
      filterMetadata: {
        istio: {
          ...clusterMetadata({ host, name: serviceName, namespace }),
          ...(subset !== "" && { subset }),
        },
      },
    },
  });
}

type ClusterParts = MessageInitShape<typeof ClusterSchema>;

function buildDiscovery({
  service,
  policy,
  originalDestination,
  byRequestedHost,
  assignment,
}: OutboundClusterInput): Pick<
  ClusterParts,
  | "clusterDiscoveryType"
  | "edsClusterConfig"
  | "lbPolicy"
  | "lbConfig"
  | "loadAssignment"
  | "dnsLookupFamily"
  | "dnsRefreshRate"
  | "respectDnsTtl"
> {
  if (originalDestination)
    return {
      clusterDiscoveryType: { case: "type", value: Discovery.ORIGINAL_DST },
      lbPolicy: LbPolicy.CLUSTER_PROVIDED,
    };
  if (byRequestedHost)
    return { lbPolicy: LbPolicy.CLUSTER_PROVIDED, clusterDiscoveryType: forwardProxyCluster(true) };
  if (assignment !== undefined)
    return {
      clusterDiscoveryType: {
        case: "type",
        value: service.resolution === "dns-round-robin" ? Discovery.LOGICAL_DNS : Discovery.STRICT_DNS,
      },
      loadAssignment: assignment,
      dnsLookupFamily: DnsFamily.V4_PREFERRED,
      dnsRefreshRate: durationFromMs(60_000),
      respectDnsTtl: true,
      ...buildBalancing(policy.loadBalancer),
    };
  return {
    clusterDiscoveryType: { case: "type", value: Discovery.EDS },
    edsClusterConfig: { edsConfig: fromAds() },
    ...buildBalancing(policy.loadBalancer),
  };
}

/** minHealthPercent is Envoy's panic threshold, 0 where it is not set; shares by locality are asked for here. */
function buildCommon({
  outlierDetection,
  loadBalancer,
}: TrafficPolicy): Pick<ClusterParts, "commonLbConfig"> {
  const { locality } = loadBalancer ?? {};
  const shares = locality?.enabled === true && locality.distribute.length > 0;
  if (outlierDetection === undefined && !shares) return {};
  return {
    commonLbConfig: {
      ...(outlierDetection && {
        healthyPanicThreshold: { value: outlierDetection.minHealthPercent ?? 0 },
      }),
      ...(shares && {
        localityConfigSpecifier: { case: "localityWeightedLbConfig" as const, value: {} },
      }),
    },
  };
}

function httpOf(protocol: Protocol, policy: TrafficPolicy): "http1" | "http2" | "as-asked" {
  if (speaksAsAsked(protocol, policy)) return "as-asked";
  return isHttp2(protocol) || policy.connectionPool?.upgradeToHttp2 === true ? "http2" : "http1";
}
