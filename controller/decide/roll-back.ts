import type { RollbackMark } from "../../api/annotations.ts";
import type { Decision, Effect } from "./effects.ts";
import { isIdle, type Observation } from "./observation.ts";
import { type DecisionSpec, hooksOf } from "./spec.ts";
import {
  type Cleanup,
  type Failure,
  type FailureReason,
  type Progressing,
  type Promoting,
  type Resting,
  remembered,
} from "./state.ts";

/** Why a run is taken back. */
export interface Cause {
  readonly reason: FailureReason;
  /** The evidence in one line. */
  readonly message: string;
  readonly check?: string;
}

const reasons: ReadonlySet<string> = new Set<FailureReason>([
  "TripWire",
  "Harm",
  "Threshold",
  "PodFailure",
  "Deadline",
  "Hook",
  "Aborted",
  "Promotion",
  "TargetDeleted",
  "Inconclusive",
]);

/** The mark of a run's rollback. Its id depends on the run alone, so that a repeat after a crash is the same rollback. */
export function rollbackMark(
  { run }: Progressing | Promoting,
  { reason, message }: Cause,
  now: number,
): RollbackMark {
  return {
    id: `rollback-${run.id}`,
    run: run.id,
    revision: run.revision,
    reason: `${reason}: ${message}`,
    at: new Date(now).toISOString(),
  };
}

/** What a mark was written for: after a restart it is all that is known. */
export function causeOf({ reason }: RollbackMark): Cause {
  const [word = "", ...rest] = reason.split(": ");
  return reasons.has(word)
    ? { reason: word as FailureReason, message: rest.join(": ") }
    : { reason: "RolledBack", message: reason };
}

/** Takes a run back: the route first, then the status; the canary's pods go when no proxy sends to them any more. */
export function rollBack(
  state: Progressing | Promoting,
  seen: Observation,
  spec: DecisionSpec,
  cause: Cause,
): Decision {
  const mark = rollbackMark(state, cause, seen.now);
  return closeFailed(
    state,
    seen,
    spec,
    cause,
    seen.route.kind === "present" || seen.formerProvider !== undefined
      ? [{ kind: "roll-back-route", mark }]
      : [],
  );
}

/** Ends a run whose route already carries its rollback, by the guard or before a crash. */
export function finishRollback(
  state: Progressing | Promoting,
  seen: Observation,
  spec: DecisionSpec,
): Decision | undefined {
  const { route } = seen;
  if (route.kind !== "present" || route.rollback?.run !== state.run.id) return undefined;
  const again: readonly Effect[] = isIdle(route) ? [] : [{ kind: "roll-back-route", mark: route.rollback }];
  return closeFailed(state, seen, spec, causeOf(route.rollback), again);
}

function closeFailed(
  state: Progressing | Promoting,
  seen: Observation,
  spec: DecisionSpec,
  cause: Cause,
  first: readonly Effect[],
): Decision {
  const { run } = state;
  const failure: Failure = { ...cause, run: run.id, revision: run.revision, at: seen.now };
  const cleanup: readonly Cleanup[] =
    hooksOf(spec, "post-rollout").length > 0 ? ["scale-down", "post-rollout"] : ["scale-down"];
  const next: Resting = { ...remembered(state), phase: "Failed", failure, closed: run, cleanup };
  return {
    next,
    effects: [
      ...first,
      { kind: "store" },
      ...(cause.reason === "Hook" && cause.check
        ? [
            {
              kind: "event",
              type: "Warning",
              reason: "HookPassed",
              message: `Rollback check ${cause.check} passed`,
            } as const,
          ]
        : []),
      { kind: "event", type: "Warning", reason: "RolledBack", message: rollingBack(state, spec, cause) },
      {
        kind: "event",
        type: "Warning",
        reason: "CanaryFailed",
        message: `Canary failed! Scaling down ${spec.canary}`,
      },
      { kind: "alert", severity: severityOf(cause), message: alertText(state, cause) },
      { kind: "count-run", outcome: "rolled-back", run },
    ],
  };
}

function rollingBack(
  { failedChecks }: Progressing | Promoting,
  spec: DecisionSpec,
  { reason, message }: Cause,
): string {
  const begin = `Rolling back ${spec.canary}`;
  switch (reason) {
    case "Threshold":
      return `${begin} failed checks threshold reached ${failedChecks}: ${evidence(message)}`;
    case "Deadline":
      return `${begin} progress deadline exceeded ${message}`;
    case "Hook":
      return `${begin} manual webhook invoked: ${message}`;
    default:
      return `${begin} ${message}`;
  }
}

/** The rule that ended the run says so itself; what it ended it for follows. */
function evidence(message: string): string {
  return message.replace(/^failed checks threshold reached \d+: /, "");
}

/** What a person or a hook asked for is no fault. */
function severityOf({ reason }: Cause): "warn" | "error" {
  return reason === "Hook" || reason === "Aborted" ? "warn" : "error";
}

function alertText({ failedChecks }: Progressing | Promoting, { reason, message }: Cause): string {
  switch (reason) {
    case "Threshold":
      return `Failed checks threshold reached ${failedChecks}: ${evidence(message)}`;
    case "Deadline":
      return `Progress deadline exceeded ${message}`;
    case "Promotion":
      return `Promotion failed, primary not ready: ${message}`;
    case "Hook":
      return `Rolling back manual webhook invoked: ${message}`;
    case "TripWire":
    case "Harm":
    case "PodFailure":
    case "Aborted":
    case "TargetDeleted":
    case "Inconclusive":
    case "RolledBack":
      return `Canary rolled back: ${message}`;
  }
}
