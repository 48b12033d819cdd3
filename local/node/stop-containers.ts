import type { Clock } from "../../lib/clock.ts";
import type { Milliseconds } from "../../lib/units.ts";
import type { ContainerRunner } from "./container-runner.ts";

/** The least that a process gets between SIGTERM and SIGKILL, as from the kubelet. */
const leastGrace = 2000;

/**
 * Ends a pod's containers as the kubelet does.
 *
 * All preStop handlers run at once. Application containers get SIGTERM after their own; sidecars after all
 * applications are gone, the last one first. The grace period covers everything; SIGKILL ends it.
 */
export async function stopContainers(
  runners: readonly ContainerRunner[],
  grace: Milliseconds,
  clock: Clock,
  { onPurpose = false } = {},
): Promise<void> {
  const deadline = clock.monotonic() + grace;
  const left = () => Math.max(deadline - clock.monotonic(), grace === 0 ? 0 : leastGrace);
  for (const runner of runners) runner.endRestarts();
  const preStops = new Map(
    runners.map((runner) => [runner, grace === 0 ? Promise.resolve() : runner.preStop(grace)]),
  );
  const stop = async (runner: ContainerRunner) => {
    await Promise.race([preStops.get(runner), after(clock, left())]);
    await runner.stop(left(), { onPurpose });
  };
  await Promise.all(runners.filter(({ record }) => record.role !== "sidecar").map(stop));
  for (const runner of runners.filter(({ record }) => record.role === "sidecar").reverse())
    await stop(runner);
}

function after(clock: Clock, delay: Milliseconds): Promise<void> {
  return new Promise((resolve) => clock.after(delay, resolve));
}
