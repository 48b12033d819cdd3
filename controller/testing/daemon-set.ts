import type { DaemonSet } from "../../api/core.ts";

/** What a DaemonSet's status is on one node, which a DaemonSet scaled to zero does not want. */
export function settledStatus({ metadata, spec }: DaemonSet): NonNullable<DaemonSet["status"]> {
  const count = spec?.template.spec?.nodeSelector === undefined ? 1 : 0;
  return {
    observedGeneration: metadata.generation ?? 0,
    desiredNumberScheduled: count,
    currentNumberScheduled: count,
    updatedNumberScheduled: count,
    numberAvailable: count,
    numberReady: count,
    numberMisscheduled: 0,
  };
}
