import type { ResourceRef } from "../../api/resource.ts";
import type { Milliseconds } from "../../lib/units.ts";

/** A DestinationRule: how callers reach a host. */
export interface DestinationPolicy {
  readonly source: ResourceRef;
  readonly namespace: string;
  /** Fully qualified; a leading `*` stands for any first part. */
  readonly host: string;
  /** Namespaces whose callers see it; undefined: all. */
  readonly exportTo: readonly string[] | undefined;
  /** For callers of its own namespace whose pods carry these labels; undefined: for all. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  readonly policy: TrafficPolicy;
  /** Replaces the whole policy for one port. */
  readonly byPort: ReadonlyMap<number, TrafficPolicy>;
  readonly subsets: readonly Subset[];
  /** Others of its namespace for the same host that are part of it; see `policyFor`. */
  readonly merged?: readonly DestinationPolicy[];
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
  readonly loadBalancer?: LoadBalancer;
  readonly connectionPool?: ConnectionPool;
  readonly outlierDetection?: OutlierDetection;
  readonly tls?: ClientTls;
  /** The PROXY protocol is spoken first, in this version. */
  readonly proxyProtocol?: 1 | 2;
  readonly retryBudget?: RetryBudget;
  /** TCP connections go through an HTTP proxy. */
  readonly tunnel?: Tunnel;
}

export interface LoadBalancer {
  /** `original-destination`: where the client's connection was bound for. */
  readonly algorithm?: "least-request" | "round-robin" | "random" | "original-destination";
  /** In place of `algorithm`: the same sign goes to the same endpoint. */
  readonly hash?: SessionHash;
  readonly locality?: LocalityBalance;
  /** New endpoints get their share step by step. */
  readonly warmup?: Warmup;
}

/** Which sign of a request chooses its endpoint. */
export interface SessionHash {
  readonly by:
    | { readonly kind: "header"; readonly name: string }
    | { readonly kind: "query-parameter"; readonly name: string }
    | { readonly kind: "source-ip" }
    | HashCookie;
  /** Entries of the hash ring at least, or the size of Maglev's table (a prime). */
  readonly table: { readonly kind: "ring" | "maglev"; readonly size: number | undefined };
}

export interface HashCookie {
  readonly kind: "cookie";
  readonly name: string;
  readonly path: string | undefined;
  /** undefined: the cookie is read and never made; 0: it ends with the browser's session. */
  readonly ttl: Milliseconds | undefined;
  readonly attributes: readonly (readonly [string, string])[];
}

/** How endpoints of several localities (`region/zone/subzone`, `*` for the rest) share the requests. */
export interface LocalityBalance {
  readonly enabled: boolean;
  /** First `from` that is the caller's locality counts; shares of 100 by locality. */
  readonly distribute: readonly {
    readonly from: string;
    readonly to: readonly (readonly [string, number])[];
  }[];
  /** Region that takes over from a region. */
  readonly failover: readonly { readonly from: string; readonly to: string }[];
  /** Labels, most important first, in which an endpoint should be like the caller; `label=value` names the value. */
  readonly failoverPriority: readonly string[];
}

export interface Warmup {
  readonly duration: Milliseconds;
  /** 1 rises in a line; more rises late. */
  readonly aggression: number;
  /** 0-100: share to begin with. */
  readonly minimumPercent: number;
}

export interface ConnectionPool {
  readonly maxConnections?: number;
  readonly connectTimeout?: Milliseconds;
  readonly maxConnectionDuration?: Milliseconds;
  readonly tcpKeepalive?: TcpKeepalive;
  /** Of connections without HTTP. */
  readonly tcpIdleTimeout?: Milliseconds;
  readonly idleTimeout?: Milliseconds;
  readonly maxPendingRequests?: number;
  readonly maxRequests?: number;
  readonly maxRequestsPerConnection?: number;
  readonly maxRetries?: number;
  readonly maxConcurrentStreams?: number;
  readonly upgradeToHttp2?: boolean;
  /** The endpoint is spoken to as the client speaks to us. */
  readonly clientProtocol?: boolean;
  readonly http2Keepalive?: { readonly interval: Milliseconds; readonly timeout: Milliseconds };
}

/** Absent parts are the operating system's. */
export interface TcpKeepalive {
  readonly probes?: number;
  readonly time?: Milliseconds;
  readonly interval?: Milliseconds;
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
  /** Statuses that count as errors, in place of 5xx. */
  readonly errorCodes?: readonly number[];
}

/** Retries at once, as a share of the requests that are under way or were begun within an interval. */
export interface RetryBudget {
  /** 0-100. */
  readonly percent: number;
  readonly minConcurrency: number;
  /** undefined: only what is under way counts. */
  readonly interval: Milliseconds | undefined;
}

export interface Tunnel {
  readonly method: "CONNECT" | "POST";
  readonly host: string;
  readonly port: number;
}

export type ClientTls =
  | { readonly mode: "disable" }
  | {
      readonly mode: "istio-mutual";
      readonly serverName?: string;
      readonly subjectAltNames?: readonly string[];
    }
  | ExternalTls;

/** TLS to a server outside of the mesh. */
export interface ExternalTls {
  /** `mutual`: with a certificate of our own, from files or from the Secret `credentialName`. */
  readonly mode: "simple" | "mutual";
  readonly serverName?: string;
  readonly subjectAltNames?: readonly string[];
  readonly caCertificates?: string;
  /** PEM, in place of the file `caCertificates`; "" trusts nobody. */
  readonly rootsPem?: string;
  readonly caCrl?: string;
  readonly clientCertificate?: string;
  readonly privateKey?: string;
  readonly credentialName?: string;
  /** SDS name of the certificate that a gateway shows to all servers which ask for one. */
  readonly clientSecret?: string;
  /** Takes any server's certificate. */
  readonly skipVerify?: boolean;
}

/** `over` on top of `under`, block by block. */
export function mergePolicies(under: TrafficPolicy, over: TrafficPolicy): TrafficPolicy {
  return { ...under, ...over };
}

/** The policy of a port (it replaces the host's, but for what has no place there), below what the subset sets. */
export function effectivePolicy(
  rule: Pick<DestinationPolicy, "policy" | "byPort">,
  port: number,
  subset: Subset | undefined,
): TrafficPolicy {
  const ofHost = onPort(rule.policy, rule.byPort.get(port));
  if (subset === undefined) return ofHost;
  return onPort(mergePolicies(ofHost, subset.policy), subset.byPort.get(port));
}

function onPort(policy: TrafficPolicy, ofPort: TrafficPolicy | undefined): TrafficPolicy {
  if (ofPort === undefined) return policy;
  const { loadBalancer: _l, connectionPool: _c, outlierDetection: _o, tls: _t, ...others } = policy;
  return { ...others, ...ofPort };
}
