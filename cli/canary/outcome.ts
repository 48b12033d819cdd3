import type { Canary } from "../../api/kinds.ts";
import type { ObjectMeta } from "../../api/resource.ts";

/** How far a release is, for who waits for its end. */
export type Outcome =
  /** The target's version serves all traffic. */
  | { readonly kind: "promoted" }
  | { readonly kind: "rolled-back"; readonly reason: string }
  | { readonly kind: "running"; readonly phase: string; readonly weight: number }
  /** No run of the target's version has begun yet. */
  | { readonly kind: "not-started"; readonly why: string };

/**
 * Reads a Canary's status.
 *
 * A status at rest may be about an older version of the target than the one just applied: it counts only where
 * `lastTrackedRevision` (`<uid>/<generation>`) names the target as it is now, or where this waiter has seen the run.
 *
 * @param target undefined where the workload does not exist or cannot be read
 * @param ranBefore whether a run was seen under way since the waiting began
 */
export function outcomeOf(
  { metadata, spec, status }: Canary,
  target: Pick<ObjectMeta, "uid" | "generation"> | undefined,
  ranBefore: boolean,
): Outcome {
  const phase = status?.phase ?? "";
  switch (phase) {
    case "Waiting":
    case "Progressing":
    case "WaitingPromotion":
    case "Promoting":
    case "Finalising":
      return { kind: "running", phase, weight: status?.canaryWeight ?? 0 };
    case "Initialized":
    case "Succeeded":
    case "Failed":
      break;
    default:
      return { kind: "not-started", why: notInitialized(phase, status) };
  }
  if (status?.observedGeneration !== undefined && status.observedGeneration < (metadata.generation ?? 0)) {
    return { kind: "not-started", why: "the controller has not seen the Canary's last change yet" };
  }
  if (!ranBefore && !tracks(status?.lastTrackedRevision, target)) {
    const why = spec.suspend
      ? "the Canary is suspended"
      : `the controller has not seen the last change of \`${spec.targetRef.name}\` yet`;
    return { kind: "not-started", why };
  }
  if (phase !== "Failed") return { kind: "promoted" };
  const { reason, message } = status?.failure ?? { reason: "Failed", message: "the analysis failed" };
  return { kind: "rolled-back", reason: `${reason}: ${message}` };
}

function notInitialized(phase: string, status: Canary["status"]): string {
  if (phase === "Terminating" || phase === "Terminated") return "the Canary is being deleted";
  const stalled = status?.conditions?.find(({ type, status }) => type === "Stalled" && status === "True");
  if (stalled) return stalled.message ?? stalled.reason;
  return phase === "" ? "no controller has seen it: is one running?" : "its primary is not ready yet";
}

/** Flagger's own status has another kind of revision there, which says nothing about the target's generation. */
function tracks(
  tracked: string | undefined,
  target: Pick<ObjectMeta, "uid" | "generation"> | undefined,
): boolean {
  if (target === undefined || tracked === undefined || !tracked.includes("/")) return true;
  return tracked === `${target.uid}/${target.generation}`;
}
