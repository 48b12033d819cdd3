import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  type Cluster,
  type Cluster_TransportSocketMatchSchema,
  ClusterSchema,
  Cluster_DiscoveryType as Discovery,
  Cluster_LbPolicy as LbPolicy,
} from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import type { OutlierDetectionSchema } from "../../envoy/generated/envoy/config/cluster/v3/outlier_detection_pb.js";
import { RawBufferSchema } from "../../envoy/generated/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import type { ConnectionPool, OutlierDetection, TrafficPolicy } from "../model/destination-policy.ts";
import { outboundCluster, outboundServerName } from "../model/names.ts";
import { isHttp2, type Protocol, type Service } from "../model/service.ts";
import { typed } from "./any.ts";
import { clusterStatSuffix } from "./bootstrap-telemetry.ts";
import { httpOptions, upstreamHttp } from "./http-options.ts";
import { clusterMetadata } from "./telemetry.ts";
import { outboundMutualTls, outboundTls } from "./tls.ts";
import { durationFromMs, fromAds, unlimited } from "./values.ts";

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
}

const defaultConnectTimeout = 10_000;

const lbPolicies: Readonly<Record<NonNullable<TrafficPolicy["loadBalancer"]>, LbPolicy>> = {
  "least-request": LbPolicy.LEAST_REQUEST,
  "round-robin": LbPolicy.ROUND_ROBIN,
  random: LbPolicy.RANDOM,
};

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
  const http2 = isHttp2(port.protocol) || policy.connectionPool?.upgradeToHttp2 === true;
  const { name: serviceName, namespace, host } = service;
  return create(ClusterSchema, {
    name,
    altStatName: name + clusterStatSuffix,
    clusterDiscoveryType: { case: "type", value: Discovery.EDS },
    edsClusterConfig: { edsConfig: fromAds() },
    connectTimeout: durationFromMs(policy.connectionPool?.connectTimeout ?? defaultConnectTimeout),
    lbPolicy: lbPolicies[policy.loadBalancer ?? "least-request"],
    circuitBreakers: { thresholds: [buildLimits(policy.connectionPool)] },
    ...(policy.outlierDetection && buildOutliers(policy.outlierDetection)),
    ...buildTransport(input, http2),
    typedExtensionProtocolOptions: {
      [httpOptions]: upstreamHttp(http2 ? "http2" : "http1", policy.connectionPool),
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

type Transport = Pick<MessageInitShape<typeof ClusterSchema>, "transportSocket" | "transportSocketMatches">;

/** Explicit TLS of a policy rules; else each endpoint is reached as its own `tlsMode` says. */
function buildTransport(input: OutboundClusterInput, http2: boolean): Transport {
  const { service, port, subset, policy, identities, trustDomain } = input;
  const protocols = http2 ? ["istio-h2", "istio", "h2"] : ["istio-http/1.1", "istio", "http/1.1"];
  const { tls } = policy;
  if (tls?.mode === "disable") return {};
  if (tls?.mode === "simple") {
    const context = outboundTls({
      serverName: tls.serverName,
      subjectAltNames: tls.subjectAltNames ?? [],
      caCertificates: tls.caCertificates,
      protocols: http2 ? ["h2"] : [],
    });
    return { transportSocket: tlsSocket(context) };
  }
  const explicit = tls?.mode === "istio-mutual" ? tls : undefined;
  if (explicit === undefined && !input.autoMutualTls) return {};
  const serverName = explicit?.serverName ?? outboundServerName(service.host, port.number, subset);
  const mutual = tlsSocket(
    outboundMutualTls(
      serverName,
      explicit?.subjectAltNames ?? identities,
      trustDomain,
      alpnFor(port.protocol, protocols),
    ),
  );
  if (explicit !== undefined) return { transportSocket: mutual };
  return { transportSocketMatches: matchesByMode(mutual) };
}

/** A TCP port's clients offer no HTTP: the server's TCP filter chain takes them. */
function alpnFor(protocol: Protocol, http: readonly string[]): readonly string[] {
  return protocol === "tcp" || protocol === "tls" || protocol === "https"
    ? ["istio-peer-exchange", "istio"]
    : http;
}

function matchesByMode(mutual: Socket): MessageInitShape<typeof Cluster_TransportSocketMatchSchema>[] {
  return [
    { name: "tlsMode-istio", match: { tlsMode: "istio" }, transportSocket: mutual },
    {
      name: "tlsMode-disabled",
      match: {},
      transportSocket: {
        name: "envoy.transport_sockets.raw_buffer",
        configType: { case: "typedConfig", value: typed(RawBufferSchema, {}) },
      },
    },
  ];
}

interface Socket {
  readonly name: string;
  readonly configType: { readonly case: "typedConfig"; readonly value: Any };
}

function tlsSocket(context: Any): Socket {
  return { name: "envoy.transport_sockets.tls", configType: { case: "typedConfig", value: context } };
}

/** @see envoy.config.cluster.v3.CircuitBreakers.Thresholds */
function buildLimits(pool: ConnectionPool | undefined) {
  return {
    maxConnections: pool?.maxConnections || unlimited,
    maxPendingRequests: pool?.maxPendingRequests || unlimited,
    maxRequests: pool?.maxRequests || unlimited,
    maxRetries: pool?.maxRetries || unlimited,
  };
}

/** Success rate never ejects, as in Istio; minHealthPercent is Envoy's panic threshold, 0 where it is not set. */
function buildOutliers(
  detection: OutlierDetection,
): Pick<MessageInitShape<typeof ClusterSchema>, "outlierDetection" | "commonLbConfig"> {
  const { consecutive5xx, consecutiveGatewayErrors, consecutiveLocalOriginFailures } = detection;
  const outlierDetection: MessageInitShape<typeof OutlierDetectionSchema> = {
    enforcingSuccessRate: 0,
    ...(consecutive5xx !== undefined && {
      consecutive5xx,
      enforcingConsecutive5xx: consecutive5xx > 0 ? 100 : 0,
    }),
    ...(consecutiveGatewayErrors !== undefined && {
      consecutiveGatewayFailure: consecutiveGatewayErrors,
      enforcingConsecutiveGatewayFailure: consecutiveGatewayErrors > 0 ? 100 : 0,
    }),
    ...(detection.splitExternalLocalOriginErrors && {
      splitExternalLocalOriginErrors: true,
      ...(consecutiveLocalOriginFailures !== undefined && {
        consecutiveLocalOriginFailure: consecutiveLocalOriginFailures,
        enforcingConsecutiveLocalOriginFailure: consecutiveLocalOriginFailures > 0 ? 100 : 0,
      }),
    }),
    ...(detection.interval !== undefined && { interval: durationFromMs(detection.interval) }),
    ...(detection.baseEjectionTime !== undefined && {
      baseEjectionTime: durationFromMs(detection.baseEjectionTime),
    }),
    ...(detection.maxEjectionPercent !== undefined && { maxEjectionPercent: detection.maxEjectionPercent }),
  };
  return {
    outlierDetection,
    commonLbConfig: { healthyPanicThreshold: { value: detection.minHealthPercent ?? 0 } },
  };
}
