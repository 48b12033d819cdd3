/** A metric of a Canary's analysis, ready to be measured. */
import type { Milliseconds } from "../../lib/units.ts";
import type { Provider } from "../providers/types.ts";

export interface ThresholdRange {
  readonly min?: number;
  readonly max?: number;
}

interface MetricBase {
  readonly name: string;
  readonly range: ThresholdRange;
  readonly interval: Milliseconds;
}

export type Metric =
  /** From the proxies' own counters of the last interval. */
  | (MetricBase & {
      readonly kind: "signals";
      readonly measure: "request-success-rate" | "request-duration";
      /** Behind a shield: the callers' attempts count as well. */
      readonly shielded?: true;
    })
  /** From a provider, by a query whose templates are filled in. `whole`: the value is cut to a whole number, as Flagger does for durations. */
  | (MetricBase & {
      readonly kind: "query";
      readonly query: string;
      readonly provider: Provider;
      /** The template that it was made from: queries of one template may be asked together. */
      readonly group?: string;
      readonly whole: boolean;
    })
  /** Cannot be measured as written: always inconclusive. */
  | (MetricBase & {
      readonly kind: "broken";
      readonly reason: string;
    });
