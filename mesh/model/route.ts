import type { ResourceRef } from "../../api/resource.ts";
import type { Milliseconds } from "../../lib/units.ts";

/** A VirtualService, complete and checked. The same object while its spec, run mark and namespace do not change. */
export interface RouteTable {
  readonly source: ResourceRef;
  readonly namespace: string;
  /** Fully qualified; a leading `*` stands for any first part. */
  readonly hosts: readonly string[];
  readonly http: readonly HttpRoute[];
  readonly live: LiveCanary | undefined;
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
}

/** One entry of `spec.http`: the first whose match fits counts. */
export interface HttpRoute {
  /** Place in `spec.http`, for problems. */
  readonly position: number;
  readonly name: string;
  /** Any of these; none means every request. */
  readonly matches: readonly HttpMatch[];
  readonly action: RouteAction;
  readonly headers: HeaderChanges;
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
}

export interface Redirect {
  readonly kind: "redirect";
  readonly path: string | undefined;
  readonly authority: string | undefined;
  readonly scheme: string | undefined;
  readonly port: number | undefined;
  /** 301, 302, 303, 307 or 308. */
  readonly code: number;
}

export interface DirectResponse {
  readonly kind: "direct-response";
  readonly status: number;
  readonly body: string;
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
}

/** Istio's default, which stands wherever a route says nothing of retries. */
export const defaultRetries: Retries = {
  attempts: 2,
  on: "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
  statusCodes: [],
  perTryTimeout: undefined,
  baseInterval: undefined,
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
  readonly path: PathMatch | undefined;
  /** Headers, and the pseudo headers :method, :scheme and :authority. */
  readonly headers: readonly NamedMatch[];
  readonly queryParameters: readonly NamedMatch[];
  /** Port of the listener. */
  readonly port: number | undefined;
}

export type PathMatch = StringMatch & { readonly ignoreCase: boolean };

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
