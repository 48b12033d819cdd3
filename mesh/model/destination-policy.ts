import type { ResourceRef } from "../../api/resource.ts";
import type { Milliseconds } from "../../lib/units.ts";

/** A DestinationRule: how callers reach a host. */
export interface DestinationPolicy {
  readonly source: ResourceRef;
  readonly namespace: string;
  /** Fully qualified; a leading `*` stands for any first part. */
  readonly host: string;
  readonly policy: TrafficPolicy;
  /** Replaces the whole policy for one port. */
  readonly byPort: ReadonlyMap<number, TrafficPolicy>;
  readonly subsets: readonly Subset[];
  readonly createdAt: string;
}

export interface Subset {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What it sets replaces the same block of the host's. */
  readonly policy: TrafficPolicy;
  readonly byPort: ReadonlyMap<number, TrafficPolicy>;
}

/** Absent blocks keep the mesh's defaults. */
export interface TrafficPolicy {
  readonly loadBalancer?: "least-request" | "round-robin" | "random";
  readonly connectionPool?: ConnectionPool;
  readonly outlierDetection?: OutlierDetection;
  readonly tls?: ClientTls;
}

export interface ConnectionPool {
  readonly maxConnections?: number;
  readonly connectTimeout?: Milliseconds;
  readonly idleTimeout?: Milliseconds;
  readonly maxPendingRequests?: number;
  readonly maxRequests?: number;
  readonly maxRequestsPerConnection?: number;
  readonly maxRetries?: number;
  readonly maxConcurrentStreams?: number;
  readonly upgradeToHttp2?: boolean;
}

export interface OutlierDetection {
  readonly consecutive5xx?: number;
  readonly consecutiveGatewayErrors?: number;
  readonly consecutiveLocalOriginFailures?: number;
  readonly splitExternalLocalOriginErrors?: boolean;
  readonly interval?: Milliseconds;
  readonly baseEjectionTime?: Milliseconds;
  readonly maxEjectionPercent?: number;
  readonly minHealthPercent?: number;
}

export type ClientTls =
  | { readonly mode: "disable" }
  | {
      readonly mode: "istio-mutual";
      readonly serverName?: string;
      readonly subjectAltNames?: readonly string[];
    }
  | {
      readonly mode: "simple";
      readonly serverName?: string;
      readonly subjectAltNames?: readonly string[];
      readonly caCertificates?: string;
    };

/** `over` on top of `under`, block by block. */
export function mergePolicies(under: TrafficPolicy, over: TrafficPolicy): TrafficPolicy {
  return { ...under, ...over };
}
