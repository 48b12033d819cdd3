import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type CircuitBreakers_Thresholds,
  CircuitBreakers_ThresholdsSchema,
} from "../../envoy/generated/envoy/config/cluster/v3/circuit_breaker_pb.js";
import type { ClusterSchema } from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import type { ConnectionPool, TcpKeepalive, TrafficPolicy } from "../model/destination-policy.ts";
import { durationFromMs, unlimited } from "./values.ts";

const defaultConnectTimeout = 10_000;

/** How a cluster's connections are made. */
export function buildConnect(
  pool: ConnectionPool | undefined,
): Pick<MessageInitShape<typeof ClusterSchema>, "connectTimeout" | "upstreamConnectionOptions"> {
  return {
    connectTimeout: durationFromMs(pool?.connectTimeout ?? defaultConnectTimeout),
    ...(pool?.tcpKeepalive && {
      upstreamConnectionOptions: { tcpKeepalive: buildKeepalive(pool.tcpKeepalive) },
    }),
  };
}

/** How much a cluster takes at once; what nobody set is unlimited. @see envoy.config.cluster.v3.CircuitBreakers.Thresholds */
export function buildLimits({
  connectionPool: pool,
  retryBudget,
}: Pick<TrafficPolicy, "connectionPool" | "retryBudget">): CircuitBreakers_Thresholds {
  return create(CircuitBreakers_ThresholdsSchema, {
    maxConnections: pool?.maxConnections || unlimited,
    maxPendingRequests: pool?.maxPendingRequests || unlimited,
    maxRequests: pool?.maxRequests || unlimited,
    maxRetries: pool?.maxRetries || unlimited,
    ...(retryBudget && {
      retryBudget: {
        budgetPercent: { value: retryBudget.percent },
        minRetryConcurrency: retryBudget.minConcurrency,
        ...(retryBudget.interval !== undefined && { budgetInterval: durationFromMs(retryBudget.interval) }),
      },
    }),
  });
}

/** @see envoy.config.core.v3.TcpKeepalive: in seconds */
function buildKeepalive({ probes, time, interval }: TcpKeepalive) {
  return {
    ...(probes !== undefined && { keepaliveProbes: probes }),
    ...(time !== undefined && { keepaliveTime: Math.ceil(time / 1000) }),
    ...(interval !== undefined && { keepaliveInterval: Math.ceil(interval / 1000) }),
  };
}
