import type { CanaryCondition } from "../../api/generated/canaries.ts";
import type { Notice } from "../decide/effects.ts";
import type { State } from "../decide/state.ts";

export interface ConditionsInput {
  readonly state: State;
  readonly notice: Notice | undefined;
  /** Kind of the target. */
  readonly targetKind: string;
  readonly generation: number;
  readonly now: number;
}

/**
 * Flagger's condition `Promoted`, and Ready, Reconciling and Stalled for tools that wait (kstatus).
 *
 * `lastTransitionTime` moves only when a status (True, False, Unknown) does.
 */
export function buildConditions(
  before: readonly CanaryCondition[],
  input: ConditionsInput,
): readonly CanaryCondition[] {
  return [promoted(input), ...progress(input)].map((condition): CanaryCondition => {
    const last = before.find(({ type }) => type === condition.type);
    const now = new Date(input.now).toISOString();
    const same = last?.status === condition.status;
    return {
      ...condition,
      observedGeneration: input.generation,
      lastTransitionTime: same ? (last.lastTransitionTime ?? now) : now,
      ...(condition.type === "Promoted" && { lastUpdateTime: same ? (last.lastUpdateTime ?? now) : now }),
    };
  });
}

type Bare = Pick<CanaryCondition, "type" | "status" | "reason" | "message">;

/** Status and message as Flagger writes them; `kubectl wait --for=condition=promoted` reads it. */
function promoted({ state, targetKind }: ConditionsInput): Bare {
  const condition = (status: CanaryCondition["status"], message: string): Bare => ({
    type: "Promoted",
    status,
    reason: state.phase,
    message,
  });
  switch (state.phase) {
    case "Initializing":
      return condition("Unknown", `New ${targetKind} detected, starting initialization.`);
    case "Initialized":
      return condition("True", `${targetKind} initialization completed.`);
    case "Waiting":
    case "WaitingPromotion":
      return condition("Unknown", "Waiting for approval.");
    case "Progressing":
      return condition("Unknown", "New revision detected, progressing canary analysis.");
    case "Promoting":
      return condition("Unknown", "Canary analysis completed, starting primary rolling update.");
    case "Finalising":
      return condition("Unknown", "Canary analysis completed, routing all traffic to primary.");
    case "Succeeded":
      return condition("True", "Canary analysis completed successfully, promotion finished.");
    case "Failed":
      return condition("False", `Canary analysis failed, ${targetKind} scaled to zero.`);
    case "Terminating":
      return condition("Unknown", "Terminating.");
  }
}

function progress({ state, notice }: ConditionsInput): readonly Bare[] {
  const resting = state.phase === "Initialized" || state.phase === "Succeeded" || state.phase === "Failed";
  const failed = state.phase === "Failed" ? state.failure : undefined;
  const reason = notice?.reason ?? failed?.reason ?? state.phase;
  const message = notice?.message ?? failed?.message ?? "";
  const stalled = notice?.stalled === true || (notice === undefined && state.phase === "Failed");
  const ready = resting && !stalled && notice === undefined;
  return [
    { type: "Ready", status: ready ? "True" : "False", reason, message },
    { type: "Reconciling", status: !resting && !stalled ? "True" : "False", reason, message },
    { type: "Stalled", status: stalled ? "True" : "False", reason, message },
  ];
}
