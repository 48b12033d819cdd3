/** Where short host names of an object are looked up. */
export interface Scope {
  readonly namespace: string;
  /** Of Services' hosts, e.g. `cluster.local`. */
  readonly domain: string;
}
