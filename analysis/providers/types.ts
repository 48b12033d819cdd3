/** One place that answers queries with one number. A new kind of provider is one file that implements this. */
export interface Provider {
  /** For messages, e.g. `prometheus http://prometheus:9090`. Holds no secrets. */
  readonly name: string;
  /** Never rejects. `signal` ends it early. */
  query(query: string, signal?: AbortSignal): Promise<Answer>;
}

export type Answer =
  | { readonly kind: "value"; readonly value: number }
  /** The provider works and has nothing that can be judged: empty, NaN, infinite, several series, a native histogram. */
  | { readonly kind: "no-data"; readonly reason: string }
  /** The provider cannot be asked, refuses the query or answers with something else. */
  | { readonly kind: "error"; readonly reason: string };
