/** One place that answers queries with one number. A new kind of provider is one file that implements this. */
export interface Provider {
  /** For messages, e.g. `prometheus http://prometheus:9090`. Holds no secrets. */
  readonly name: string;
  /**
   * Never rejects. `signal` ends it early. Queries of the same `group` (a template) that come together may be asked as
   * one.
   */
  query(query: string, signal?: AbortSignal, group?: string): Promise<Answer>;
}

export type Answer =
  | { readonly kind: "value"; readonly value: number }
  /** The provider works and has nothing that can be judged: empty, NaN, infinite, several series, a native histogram. */
  | { readonly kind: "no-data"; readonly reason: string }
  /** The provider cannot be asked, refuses the query or answers with something else. */
  | {
      readonly kind: "error";
      readonly reason: string;
      /** It is the query that is refused: the provider itself works. */
      readonly refused?: true;
    };

/** What providers need to be asked: where, and as whom. */
export interface Endpoint {
  /** URL, e.g. `http://prometheus.monitoring:9090`, a path included. */
  readonly address: string;
  /** Sent with each query; MetricTemplate `spec.provider.headers`. */
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  /** Asked at each query, so that a renewed secret is used: the keys `token`, or `username` and `password`. */
  readonly secret?: () => Promise<ReadonlyMap<string, string>>;
  readonly insecureSkipVerify?: boolean;
  /** Default 5 s, as Flagger's. */
  readonly timeout?: number;
}

/** The `Authorization` that a secret's values make; undefined where they make none. */
export function authorizationOf(values: ReadonlyMap<string, string> | undefined): string | undefined {
  const token = values?.get("token");
  if (token !== undefined) return `Bearer ${token.trim()}`;
  const username = values?.get("username");
  if (username === undefined) return undefined;
  return `Basic ${Buffer.from(`${username}:${values?.get("password") ?? ""}`).toString("base64")}`;
}
