import type { Clock } from "../../../lib/clock.ts";
import type { Container, Probe } from "../container.ts";
import { startProbeLoop } from "./loop.ts";
import type { ProbeResult } from "./result.ts";

export interface ContainerProbesOptions {
  readonly container: Container;
  /** Whether the startup probe has passed before: an adopted container. */
  readonly started: boolean;
  readonly clock: Clock;
  readonly ask: (probe: Probe) => Promise<ProbeResult>;
  readonly onStarted: () => void;
  readonly onReady: (ready: boolean) => void;
  /** A startup or liveness probe failed for good: all probing has ended. */
  readonly onFailed: (kind: "startup" | "liveness", graceSeconds: number | undefined) => void;
  /** One failed answer, for the event. */
  readonly onUnhealthy: (message: string) => void;
}

/**
 * Probes a running container: first its startup, then readiness and liveness.
 *
 * Without a startup probe it counts as started at once, without a readiness probe as ready once started.
 * @returns what stops it
 */
export function startContainerProbes(options: ContainerProbesOptions): () => void {
  const { container, clock, ask, onStarted, onReady, onFailed, onUnhealthy } = options;
  const { startupProbe, readinessProbe, livenessProbe } = container;
  const ends: (() => void)[] = [];
  const stop = () => {
    for (const end of ends.splice(0)) end();
  };
  const loop = (name: string, probe: Probe, onVerdict: (passed: boolean) => void) => {
    const end = startProbeLoop({
      probe,
      clock,
      ask: () => ask(probe),
      onVerdict: (verdict) => onVerdict(verdict === "success"),
      onFailure: ({ message }) => onUnhealthy(`${name} probe failed: ${message}`),
    });
    ends.push(end);
  };
  const fail = (kind: "startup" | "liveness", probe: Probe) => {
    stop();
    onFailed(kind, probe.terminationGracePeriodSeconds);
  };
  const goOn = () => {
    stop();
    onStarted();
    if (readinessProbe) loop("Readiness", readinessProbe, onReady);
    else onReady(true);
    if (livenessProbe) loop("Liveness", livenessProbe, (passed) => passed || fail("liveness", livenessProbe));
  };
  if (startupProbe && !options.started) {
    loop("Startup", startupProbe, (passed) => (passed ? goOn() : fail("startup", startupProbe)));
  } else {
    goOn();
  }
  return stop;
}
