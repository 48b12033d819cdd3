import type { Check } from "../../analysis/checks/types.ts";
import type { CanaryRun, CanaryStatus } from "../../api/generated/canaries.ts";
import type { Failure, FailureReason, Remembered, RunState, State } from "../decide/state.ts";

/**
 * The state that a status holds; Initializing where there is none.
 *
 * A run that Flagger had begun has no `run`: it is taken as ended, its pods as left over. Whether a new run begins
 * is then decided by comparing target and primary.
 */
export function readState(status: CanaryStatus | undefined): State {
  const rest = readRemembered(status);
  const phase = status?.phase ?? "";
  const run = readRun(status?.run, status?.judge);
  switch (phase) {
    case "":
    case "Initializing":
      return { ...rest, phase: "Initializing" };
    case "Initialized":
    case "Succeeded":
    case "Failed":
      return { ...rest, phase, ...(run && { closed: run }), cleanup: status?.cleanup ?? [] };
    case "Waiting":
      return { ...rest, phase };
    case "Terminating":
    case "Terminated":
      return { ...rest, phase: "Terminating" };
    case "Progressing":
    case "WaitingPromotion":
    case "Promoting":
    case "Finalising": {
      if (run === undefined) return { ...rest, phase: "Succeeded", cleanup: ["scale-down"] };
      if (phase === "Finalising") return { ...rest, phase, run };
      const { canaryWeight = 0, iterations = 0, failedChecks = 0 } = status ?? {};
      return { ...rest, phase, run, canaryWeight, iterations, failedChecks };
    }
  }
}

function readRemembered(status: CanaryStatus | undefined): Remembered {
  const failure = readFailure(status?.failure);
  return {
    ...(status?.lastAppliedSpec && { applied: status.lastAppliedSpec }),
    ...(status?.lastPromotedSpec && { promoted: status.lastPromotedSpec }),
    ...(status?.lastTrackedRevision && { fence: status.lastTrackedRevision }),
    ...(status?.provider && { provider: status.provider }),
    ...(failure && { failure }),
    ...(status?.previousSessionAffinityCookie && { previousCookie: status.previousSessionAffinityCookie }),
    ...(status?.shield && { rescues: status.shield }),
    trackedConfigs: status?.trackedConfigs ?? {},
    checks: (status?.checks ?? []).map(readCheck),
  };
}

function readRun(run: CanaryRun | undefined, judge: string | undefined): RunState | undefined {
  if (run === undefined) return undefined;
  const steppedAt = time(run.steppedAt);
  const tickedAt = time(run.tickedAt);
  const heldSince = time(run.heldSince);
  return {
    id: run.id,
    revision: run.revision,
    startedAt: time(run.startedAt) ?? 0,
    preRolloutPassed: run.preRolloutPassed ?? false,
    ...(run.knownGood && { knownGood: true }),
    ...(run.primaryReplicas !== undefined && { primaryReplicas: run.primaryReplicas }),
    ...(run.paused && { paused: true }),
    ...(steppedAt !== undefined && { steppedAt }),
    ...(tickedAt !== undefined && { tickedAt }),
    ...(heldSince !== undefined && { heldSince }),
    ...(run.waitingFor && { waitingFor: run.waitingFor }),
    ...(run.primaryRevision && { primaryRevision: run.primaryRevision }),
    ...(judge && { judge }),
  };
}

function readFailure(failure: CanaryStatus["failure"]): Failure | undefined {
  if (failure === undefined) return undefined;
  return {
    reason: failure.reason as FailureReason,
    message: failure.message,
    ...(failure.check && { check: failure.check }),
    run: failure.run ?? "",
    revision: failure.revision ?? "",
    at: time(failure.at) ?? 0,
  };
}

function readCheck({
  name,
  result,
  value,
  samples,
  limit,
  message,
  query,
}: NonNullable<CanaryStatus["checks"]>[number]): Check {
  return {
    name,
    kind: result,
    threshold: limit ?? "",
    reason: message ?? "",
    ...(value !== undefined && { value }),
    ...(samples !== undefined && { samples }),
    ...(query && { query }),
  };
}

function time(text: string | undefined): number | undefined {
  const read = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(read) ? undefined : read;
}
