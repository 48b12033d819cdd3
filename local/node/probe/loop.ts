import type { Clock } from "../../../lib/clock.ts";
import type { Probe } from "../container.ts";
import { countAnswer, type ProbeCount, type Verdict } from "./count.ts";
import type { ProbeResult } from "./result.ts";

export interface ProbeLoop {
  readonly probe: Probe;
  readonly clock: Clock;
  /** Asks once. */
  readonly ask: () => Promise<ProbeResult>;
  /** Told each answer that has a verdict, also when it repeats; and each failed answer for the event. */
  readonly onVerdict: (verdict: Exclude<Verdict, undefined>, result: ProbeResult) => void;
  readonly onFailure: (result: ProbeResult) => void;
}

/**
 * Asks after `initialDelaySeconds`, then each `periodSeconds` after the last answer, until stopped.
 *
 * @returns what stops it
 */
export function startProbeLoop({ probe, clock, ask, onVerdict, onFailure }: ProbeLoop): () => void {
  let stopped = false;
  let count: ProbeCount | undefined;
  let cancel: () => void = () => undefined;
  const period = (probe.periodSeconds ?? 10) * 1000;
  const once = async () => {
    const begun = clock.monotonic();
    const result = await ask();
    if (stopped) return;
    const answer = countAnswer(count, result.passed, probe);
    count = answer.count;
    if (!result.passed) onFailure(result);
    if (answer.verdict) onVerdict(answer.verdict, result);
    schedule(Math.max(0, period - (clock.monotonic() - begun)));
  };
  const schedule = (delay: number) => {
    // A verdict may have stopped the loop.
    if (!stopped) cancel = clock.after(delay, () => void once());
  };
  schedule((probe.initialDelaySeconds ?? 0) * 1000);
  return () => {
    stopped = true;
    cancel();
  };
}
