import type { Decision } from "./effects.ts";
import { leaveFormerProvider } from "./leave-provider.ts";
import { restartRun } from "./new-run.ts";
import { notReady, targetNotice, waitForPods } from "./notices.ts";
import type { Observation } from "./observation.ts";
import type { Position } from "./plan.ts";
import { finishRollback, rollBack } from "./roll-back.ts";
import type { DecisionSpec } from "./spec.ts";
import { type Progressing, type Promoting, type Resting, remembered } from "./state.ts";
import { askWhilePaused, tick } from "./tick.ts";
import { takesTraffic } from "./traffic.ts";

/**
 * A canary under analysis. What ends the run comes before anything else, and asks nobody; then what is
 * missing is made good; only then may a tick's answers move the weight.
 */
export function decideProgressing(state: Progressing, seen: Observation, spec: DecisionSpec): Decision {
  return (
    finishRollback(state, seen, spec) ??
    endByHarm(state, seen, spec) ??
    followTarget(state, seen, spec) ??
    endByPods(state, seen, spec) ??
    makeGood(state, seen, spec) ??
    holdBack(state, seen, spec) ??
    tick(state, seen, spec)
  );
}

function endByHarm(state: Progressing, seen: Observation, spec: DecisionSpec): Decision | undefined {
  const { harm } = seen;
  if (harm === undefined) return undefined;
  return rollBack(state, seen, spec, {
    reason: harm.by === "trip-wire" ? "TripWire" : "Harm",
    message: harm.reason,
  });
}

/** The target changed under the run: gone, back at what is promoted, or at yet another revision. */
function followTarget(state: Progressing, seen: Observation, spec: DecisionSpec): Decision | undefined {
  const { target } = seen;
  if (target.kind === "missing") {
    return rollBack(state, seen, spec, {
      reason: "TargetDeleted",
      message: `${spec.target}: ${target.message}`,
    });
  }
  if (target.kind === "unusable") {
    return { next: state, effects: [{ kind: "store" }], notice: targetNotice(target, spec) };
  }
  if (target.revision === state.run.revision) return undefined;
  if (target.revision !== state.promoted) return restartRun(state, target, seen, spec);
  const next: Resting = {
    ...remembered(state),
    phase: "Succeeded",
    applied: target.revision,
    fence: target.fence,
    trackedConfigs: target.trackedConfigs,
    closed: state.run,
    cleanup: ["scale-down"],
  };
  return {
    next,
    effects: [
      { kind: "set-traffic", run: state.run },
      { kind: "store" },
      {
        kind: "event",
        type: "Normal",
        reason: "Reverted",
        message: `${spec.target} is back at the promoted revision, analysis ended`,
      },
    ],
  };
}

/** Pods that will not serve, and a canary that has traffic and nobody to answer it. */
function endByPods(state: Progressing, seen: Observation, spec: DecisionSpec): Decision | undefined {
  if (seen.target.kind !== "present") return undefined;
  const exposed = takesTraffic(spec.plan, state);
  const message = podTrouble(seen.target, exposed);
  if (message !== undefined) return rollBack(state, seen, spec, { reason: "PodFailure", message });
  const { readiness } = seen.target;
  if (readiness.kind === "failed") {
    return rollBack(state, seen, spec, { reason: "Deadline", message: readiness.message });
  }
  if (readiness.kind === "waiting" && !exposed && seen.now - state.run.startedAt > spec.progressDeadline) {
    return rollBack(state, seen, spec, { reason: "Deadline", message: readiness.message });
  }
  return undefined;
}

/** What the canary's pods suffer from, in words; undefined where they can go on. */
export function podTrouble(
  { pods }: Extract<Observation["target"], { kind: "present" }>,
  exposed: boolean,
): string | undefined {
  const { failure } = pods;
  if (failure !== undefined) {
    const text = failure.message === "" ? "" : `: ${failure.message}`;
    return `pod ${failure.pod} container ${failure.container} ${failure.reason}${text}`;
  }
  if (exposed && pods.ready === 0) return "no pod of the canary is ready while it has traffic";
  return undefined;
}

/** What a crash, another writer or a person has left undone. The stored weight is the intent. */
function makeGood(state: Progressing, seen: Observation, spec: DecisionSpec): Decision | undefined {
  const { target, primary, objects, route } = seen;
  if (target.kind !== "present") return undefined;
  if (primary.kind === "missing" && state.promoted !== undefined) {
    return { next: state, effects: [{ kind: "create-primary", revision: state.promoted }] };
  }
  if (objects.drifted || route.kind === "missing") {
    return { next: state, effects: [{ kind: "apply-objects", apex: true }] };
  }
  if (route.kind === "unusable") {
    return {
      next: state,
      effects: [{ kind: "store" }],
      notice: { reason: "RouteUnusable", message: route.message, stalled: true },
    };
  }
  if (target.replicas === 0) {
    return { next: state, effects: [{ kind: "scale-target", replicas: target.replicasForRun }] };
  }
  return repairRoute(state, seen) ?? leaveFormerProvider(state, seen, spec);
}

/** Puts the stored weight and the run's mark on the route, where they are not. */
export function repairRoute(state: Progressing | Promoting, { route }: Observation): Decision | undefined {
  if (route.kind !== "present") return undefined;
  const { run } = state;
  if (route.asWanted && route.run === run.id) return undefined;
  return { next: state, effects: [{ kind: "store" }, { kind: "set-traffic", run }] };
}

function holdBack(state: Progressing, seen: Observation, spec: DecisionSpec): Decision | undefined {
  const stay = (notice: NonNullable<Decision["notice"]>): Decision => ({
    next: state,
    effects: [{ kind: "store" }],
    notice,
  });
  if (seen.suspended) {
    return stay({
      reason: "Suspended",
      message: "skipping canary run as object is suspended",
      stalled: false,
    });
  }
  if (seen.paused || state.run.paused) {
    const held = stay({
      reason: "Paused",
      message: seen.paused
        ? `held at ${whereIs(state)}: the canary is paused`
        : `held at ${whereIs(state)}: this step waits for a person, see fairlead resume`,
      stalled: false,
    });
    return askWhilePaused(state, seen, spec, held);
  }
  if (seen.target.kind === "present" && seen.target.readiness.kind !== "ready") {
    const notice = notReady(seen.target.readiness.message, spec);
    if (takesTraffic(spec.plan, state)) return stay(notice);
    const since = state.run.startedAt;
    const waiting = waitForPods(state, notice, { since, now: seen.now });
    const deadline = Math.max(since + spec.progressDeadline - seen.now, 0) + 1;
    return { ...waiting, again: Math.min(waiting.again ?? deadline, deadline) };
  }
  return undefined;
}

function whereIs({ canaryWeight, iterations }: Position): string {
  return canaryWeight === 0 && iterations > 0 ? `iteration ${iterations}` : `weight ${canaryWeight}`;
}
