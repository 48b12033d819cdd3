/** One check of one metric (or hook) at one tick: what was measured against what was asked. */
export interface Check {
  /** Name of the metric as the Canary lists it. */
  readonly name: string;
  readonly kind: "passed" | "failed" | "inconclusive";
  readonly value?: number;
  /** Requests behind the value, where they are known: none for a provider's answer. */
  readonly samples?: number;
  /** The limit in words, e.g. `>= 99`; empty where there is none. */
  readonly threshold: string;
  /** The query that was sent, where one was. */
  readonly query?: string;
  /** One line for events: what was found. */
  readonly reason: string;
  /** Why it is inconclusive: `noData` or `providerErrors` of the Canary decide what it counts as. */
  readonly cause?: "no-data" | "provider-error";
}
