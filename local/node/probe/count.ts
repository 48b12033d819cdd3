import type { Probe } from "../container.ts";

/** Consecutive equal answers of one probe. */
export interface ProbeCount {
  readonly passed: boolean;
  readonly times: number;
}

/** What a probe says after the thresholds; undefined while neither is reached. */
export type Verdict = "success" | "failure" | undefined;

/** Counts one more answer. @see Probe.failureThreshold (default 3), Probe.successThreshold (default 1) */
export function countAnswer(
  before: ProbeCount | undefined,
  passed: boolean,
  { failureThreshold = 3, successThreshold = 1 }: Pick<Probe, "failureThreshold" | "successThreshold">,
): { readonly count: ProbeCount; readonly verdict: Verdict } {
  const times = before?.passed === passed ? before.times + 1 : 1;
  const reached = times >= (passed ? successThreshold : failureThreshold);
  return { count: { passed, times }, verdict: reached ? (passed ? "success" : "failure") : undefined };
}
