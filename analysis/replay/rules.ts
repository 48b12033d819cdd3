import type { Percent } from "../../lib/units.ts";
import type { SecondCounts } from "./trace.ts";

/** What a rule says after a second: nothing, the next step, the end. */
export type Ruling = "hold" | "step" | "promote" | "roll back";

/** One way to judge a trace. It is told of each second once and keeps its own memory. */
export interface Rule {
  /** Whether it learns from the primary's past (t < 0). */
  readonly past: boolean;
  /** The canary's weights, where the rule has its own; else the Canary's steps. */
  readonly weights?: readonly Percent[];
  /** The second from `t - 1` to `t`, with the canary at `weight`. */
  second(t: number, counts: SecondCounts, weight: Percent): Ruling;
  /** Evidence of harm in nats after the last second; null where the rule has none. */
  logE(): number | null;
}
