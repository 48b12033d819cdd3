import type { Milliseconds } from "../../lib/units.ts";
import type { ContainerRecord } from "./container.ts";

/** How long a container that keeps ending is kept from starting. */
export interface BackOffLimits {
  readonly initial: Milliseconds;
  readonly maximum: Milliseconds;
  /** A container that ran this long starts anew. */
  readonly resetAfter: Milliseconds;
}

/** The kubelet's: 10 s, doubled up to 5 minutes, forgotten after 10 minutes of running. */
export const kubeletBackOff: BackOffLimits = { initial: 10_000, maximum: 300_000, resetAfter: 600_000 };

/**
 * Milliseconds to wait between the end of an attempt and the next start.
 *
 * The first restart is immediate, as the kubelet's; so is one after an end that was asked for.
 */
export function restartDelay(record: ContainerRecord, limits: BackOffLimits): Milliseconds {
  const { situation, attempt, backOff, stoppedOnPurpose } = record;
  if (situation.kind !== "terminated" || attempt < 0 || stoppedOnPurpose) return 0;
  if (situation.finishedAt - situation.startedAt >= limits.resetAfter || attempt === 0) return 0;
  return backOff === 0 ? limits.initial : Math.min(backOff * 2, limits.maximum);
}
