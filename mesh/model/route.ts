import type { ResourceRef } from "../../api/resource.ts";
import type { Milliseconds } from "../../lib/units.ts";
import type { RouteShield } from "./shield.ts";

/** A VirtualService, complete and checked. The same object while its spec, run mark and namespace do not change. */
export interface RouteTable {
  readonly source: ResourceRef;
  readonly namespace: string;
  /** Fully qualified; a leading `*` stands for any first part. */
  readonly hosts: readonly string[];
  /** Whose routes they are: `mesh` (all sidecars), or Gateways as `<namespace>/<name>`. */
  readonly gateways: readonly string[];
  /** Namespaces whose callers see it; undefined: all. */
  readonly exportTo: readonly string[] | undefined;
  readonly http: readonly HttpRoute[];
  /** Of connections whose TLS is not ended here. */
  readonly tls: readonly TlsRoute[];
  readonly tcp: readonly TcpRoute[];
  readonly live: LiveCanary | undefined;
  /** Its routes are tried by the Gateway API's precedence, among those of all such tables of a host; else in their order. */
  readonly ranked?: boolean;
  readonly createdAt: string;
}

/** A release that is being judged: its weights travel by runtime keys. */
export interface LiveCanary {
  /** Runtime key prefix, `fl.w.<namespace>.<canary>`. */
  readonly prefix: string;
  readonly run: string;
  readonly uid: string;
  readonly primaryHost: string;
  readonly canaryHost: string;
  /** Which of the canary's failed requests the primary answers; absent: none. */
  readonly shield?: RouteShield;
}

/** One entry of `spec.http`: the first whose match fits counts. */
export interface HttpRoute {
  /** Place in `spec.http` of `delegate`, else of the table's own object, for problems. */
  readonly position: number;
  /** The VirtualService that the table's own delegates this route to. */
  readonly delegate: ResourceRef | undefined;
  readonly name: string;
  /** Any of these; none means every request. */
  readonly matches: readonly HttpMatch[];
  readonly action: RouteAction;
  readonly headers: HeaderChanges;
  readonly cors: CorsPolicy | undefined;
}

/** One entry of `spec.tcp`: the first whose match fits counts. */
export interface TcpRoute {
  readonly position: number;
  /** Any of these; none means every connection. */
  readonly matches: readonly ConnectionMatch[];
  readonly destinations: readonly Destination[];
}

/** One entry of `spec.tls`: the first whose match fits counts. */
export interface TlsRoute {
  readonly position: number;
  readonly matches: readonly TlsMatch[];
  readonly destinations: readonly Destination[];
}

/** All of these. */
export interface ConnectionMatch {
  /** Addresses or CIDRs that the client asks for; none means any. */
  readonly destinationSubnets: readonly string[];
  /** Address or CIDR that the client has. */
  readonly sourceSubnet: string | undefined;
  /** Port of the listener. */
  readonly port: number | undefined;
  readonly callers: CallerMatch | undefined;
}

export interface TlsMatch extends ConnectionMatch {
  /** Server names that the client asks for; a leading `*.` stands for any first part. */
  readonly serverNames: readonly string[];
}

/** Which callers a match is for. It is decided before Envoy sees a route: see `mesh/model/caller.ts`. */
export interface CallerMatch {
  /** Labels that the caller's pod carries. */
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly namespace: string | undefined;
  /** As {@link RouteTable.gateways}; they stand in place of the table's. */
  readonly gateways: readonly string[] | undefined;
}

/** Which pages of other origins may read the answers. */
export interface CorsPolicy {
  readonly allowOrigins: readonly StringMatch[];
  readonly allowMethods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  /** How long a browser may keep the answer to its preflight. */
  readonly maxAge: Milliseconds | undefined;
  readonly allowCredentials: boolean | undefined;
  /** Whether a preflight of another origin goes on to the destination; else it is answered here. */
  readonly forwardUnmatchedPreflights: boolean;
}

export type RouteAction = Forward | Redirect | DirectResponse;

export interface Forward {
  readonly kind: "forward";
  readonly destinations: readonly Destination[];
  /** undefined: none. */
  readonly timeout: Milliseconds | undefined;
  readonly retries: Retries | undefined;
  readonly rewrite: Rewrite | undefined;
  readonly mirrors: readonly Mirror[];
  readonly fault: Fault | undefined;
  /** What a share of the requests is answered with whose destination does not exist; 503 by default. */
  readonly missingClusterStatus?: 500;
}

export interface Redirect {
  readonly kind: "redirect";
  readonly path: string | undefined;
  readonly authority: string | undefined;
  readonly scheme: string | undefined;
  /** `listener`: the port on which the request came; undefined: the scheme's own. */
  readonly port: number | "listener" | undefined;
  /** In place of the matched prefix of the path. */
  readonly prefix: string | undefined;
  /** In place of `path` and `prefix`. */
  readonly pathRegex?: { readonly pattern: string; readonly substitution: string };
  /** 301, 302, 303, 307 or 308. */
  readonly code: number;
}

export interface DirectResponse {
  readonly kind: "direct-response";
  readonly status: number;
  readonly body: string;
  /** Base64; in place of `body` where it is no text. */
  readonly bytes: string | undefined;
}

export interface Destination {
  /** Fully qualified. */
  readonly host: string;
  readonly subset: string | undefined;
  /** undefined: the Service's only port, else the port of the listener. */
  readonly port: number | undefined;
  /** Share of the sum of all. */
  readonly weight: number;
  readonly headers: HeaderChanges;
}

export interface Mirror {
  readonly destination: Pick<Destination, "host" | "subset" | "port">;
  /** 0-100. */
  readonly percent: number;
}

export interface Retries {
  readonly attempts: number;
  readonly perTryTimeout: Milliseconds | undefined;
  /** Envoy's conditions, comma separated, without numbers. */
  readonly on: string;
  readonly statusCodes: readonly number[];
  readonly baseInterval: Milliseconds | undefined;
  /** Whether a second attempt may leave the locality of the first. */
  readonly otherLocalities: boolean;
  /** Whether a second attempt may go to a host that was tried before. */
  readonly sameHosts: boolean;
}

/** Istio's default, which stands wherever a route says nothing of retries. */
export const defaultRetries: Retries = {
  attempts: 2,
  on: "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
  statusCodes: [],
  perTryTimeout: undefined,
  baseInterval: undefined,
  otherLocalities: false,
  sameHosts: false,
};

export interface Rewrite {
  readonly path: string | undefined;
  readonly pathRegex: { readonly pattern: string; readonly substitution: string } | undefined;
  readonly authority: string | undefined;
}

export interface Fault {
  readonly delay: { readonly duration: Milliseconds; readonly percent: number } | undefined;
  readonly abort: { readonly status: FaultStatus; readonly percent: number } | undefined;
}

export type FaultStatus =
  | { readonly kind: "http"; readonly code: number }
  | { readonly kind: "grpc"; readonly code: number };

export interface HeaderChanges {
  readonly request: HeaderOperations;
  readonly response: HeaderOperations;
}

export interface HeaderOperations {
  readonly set: readonly (readonly [string, string])[];
  readonly add: readonly (readonly [string, string])[];
  readonly remove: readonly string[];
}

/** All of these. */
export interface HttpMatch {
  /** Joined to the route's own, `<route>.<match>`; "" where it has none. */
  readonly name: string;
  readonly path: PathMatch | undefined;
  /** Headers, and the pseudo headers :method, :scheme and :authority. */
  readonly headers: readonly NamedMatch[];
  readonly queryParameters: readonly NamedMatch[];
  /** Claims of the token that was verified before the route is chosen, which gateways alone do. */
  readonly claims?: readonly ClaimMatch[];
  /** Port of the listener. */
  readonly port: number | undefined;
  readonly callers: CallerMatch | undefined;
  /** Characters of a GRPCRoute's service and method, by which it ranks among others. */
  readonly ofGrpc?: { readonly service: number; readonly method: number };
  /** Prefix of the counters that Envoy keeps of these requests. */
  readonly statPrefix: string | undefined;
}

/** `segments`: a prefix of whole segments, `/a` fits `/a` and `/a/b` but not `/ab`. */
export type PathMatch = (StringMatch | { readonly kind: "segments"; readonly value: string }) & {
  readonly ignoreCase: boolean;
};

/** A claim as text, or as a list with such an element. */
export interface ClaimMatch {
  readonly path: readonly string[];
  readonly match: StringMatch | { readonly kind: "present" };
  /** Fits where the match does not, so where there is no token too. */
  readonly not: boolean;
}

export interface NamedMatch {
  readonly name: string;
  readonly match: StringMatch | { readonly kind: "present" };
  /** Fits where the match does not. */
  readonly not: boolean;
}

export type StringMatch =
  | { readonly kind: "exact"; readonly value: string }
  | { readonly kind: "prefix"; readonly value: string }
  | { readonly kind: "regex"; readonly value: string };
