/** Where a request goes and why, as `fairlead explain route` prints it. Absent parts are null. */
export interface Explanation {
  /** Name of the listener that takes the connection. */
  readonly listener: string | null;
  /** Name of its filter chain, `default`, or `#` and its place where it has no name. */
  readonly filterChain: string | null;
  readonly routeConfig: string | null;
  readonly virtualHost: string | null;
  readonly route: string | null;
  /** The one cluster that takes it, or the one that takes most of it. */
  readonly cluster: string | null;
  /** Every cluster that may take it, in the route's order; weight 0 is there too. */
  readonly weights: readonly WeightedCluster[];
  /** Where clusters with a share lead. */
  readonly endpoints: readonly ExplainedEndpoint[];
  /** Milliseconds for the whole answer; null: none. */
  readonly timeout: number | null;
  readonly retries: ExplainedRetries | null;
  readonly directResponse: { readonly status: number; readonly body: string } | null;
  readonly redirect: { readonly status: number; readonly location: string } | null;
  /** What the upstream sees instead of what was sent; null where nothing is rewritten. */
  readonly rewrite: { readonly authority: string; readonly path: string } | null;
  /** Whose failures are answered by another; null: nobody's. */
  readonly shield: ExplainedShield | null;
  readonly mirrors: readonly { readonly cluster: string; readonly share: number }[];
  readonly fault: ExplainedFault | null;
  /** How it came to this, in one line. */
  readonly reason: string;
}

export interface WeightedCluster {
  readonly cluster: string;
  /** As the route carries it. */
  readonly weight: number;
  /** 0-1. */
  readonly share: number;
}

export interface ExplainedEndpoint {
  readonly cluster: string;
  readonly address: string;
  readonly port: number;
}

export interface ExplainedRetries {
  readonly attempts: number;
  readonly on: string;
  readonly statusCodes: readonly number[];
  /** Milliseconds; null: none of its own. */
  readonly perTryTimeout: number | null;
}

/** Of a live canary: its failed answers to requests of such methods are tried once more. */
export interface ExplainedShield {
  /** The canary's cluster, which is asked first. */
  readonly cluster: string;
  /** Part of the requests that it is asked first, 0-1. */
  readonly share: number;
  /** The cluster that is asked where it fails. */
  readonly rescuedBy: string;
  /** Milliseconds after which no answer is a failure. */
  readonly hangAfter: number | null;
}

export interface ExplainedFault {
  readonly delay: { readonly milliseconds: number; readonly share: number } | null;
  readonly abort: { readonly status: number; readonly grpc: boolean; readonly share: number } | null;
}

/** What is known before anything was found. */
export const nothing: Explanation = {
  listener: null,
  filterChain: null,
  routeConfig: null,
  virtualHost: null,
  route: null,
  cluster: null,
  weights: [],
  endpoints: [],
  timeout: null,
  retries: null,
  directResponse: null,
  redirect: null,
  rewrite: null,
  shield: null,
  mirrors: [],
  fault: null,
  reason: "",
};
