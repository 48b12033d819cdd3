import type { Decision } from "./effects.ts";
import { targetNotice, waitForPods } from "./notices.ts";
import type { Observation } from "./observation.ts";
import { podTrouble, repairRoute } from "./progressing.ts";
import { type Cause, causeOf, finishRollback, rollBack, rollbackMark } from "./roll-back.ts";
import type { DecisionSpec } from "./spec.ts";
import { type Finalising, type Promoting, remembered } from "./state.ts";
import { takesTraffic } from "./traffic.ts";

/**
 * The primary is rolled to the analysed revision while the canary keeps its traffic; when it is ready the
 * traffic goes back to it, at once or by stepWeightPromotion.
 *
 * A canary that turns bad now has its template half in the primary: weight 0 would send everybody to it. So the
 * primary's former template is restored first, and weight 0 follows when that one is ready.
 */
export function decidePromoting(state: Promoting, seen: Observation, spec: DecisionSpec): Decision {
  const { primary, route } = seen;
  const ended = finishRollback(state, seen, spec);
  if (ended !== undefined) return withFormerPrimary(state, seen, ended);
  if (primary.kind === "present" && primary.restored?.run === state.run.id) {
    return afterRestore(state, seen, spec, causeOf(primary.restored));
  }
  const cause = trouble(state, seen, spec);
  if (cause !== undefined) return takeBack(state, seen, spec, cause);
  if (route.kind === "missing") return { next: state, effects: [{ kind: "apply-objects", apex: true }] };
  if (primary.kind === "missing") {
    return { next: state, effects: [{ kind: "create-primary", revision: state.run.revision }] };
  }
  if (primary.revision !== state.run.revision) {
    return {
      next: state,
      effects: [{ kind: "store" }, { kind: "copy-to-primary", revision: state.run.revision }],
    };
  }
  // Among what is made good: the primary's scaler, which is to bring the pods for all traffic.
  if (seen.objects.drifted) return { next: state, effects: [{ kind: "apply-objects", apex: true }] };
  const repaired = repairRoute(state, seen);
  if (repaired !== undefined) return repaired;
  if (primary.readiness.kind !== "ready") {
    const notice = {
      reason: "PrimaryNotReady",
      message: `primary ${spec.targetKind.toLowerCase()} ${spec.primary} not ready: ${primary.readiness.message}`,
      stalled: false,
    };
    const since = state.run.tickedAt ?? state.run.startedAt;
    return waitForPods(state, notice, { since, now: seen.now });
  }
  const wanted = state.run.primaryReplicas ?? 0;
  const patient = seen.now - (state.run.tickedAt ?? state.run.startedAt) < spec.progressDeadline;
  if (seen.autoscaled && primary.replicas < wanted && patient) {
    const message = `${spec.primary} has ${primary.replicas} of ${wanted} pods that it needs to take all traffic`;
    return {
      next: state,
      effects: [{ kind: "store" }],
      notice: { reason: "PrimaryScaling", message, stalled: false },
      again: 1000,
    };
  }
  if (seen.suspended) {
    const message = "skipping canary run as object is suspended";
    return {
      next: state,
      effects: [{ kind: "store" }],
      notice: { reason: "Suspended", message, stalled: false },
    };
  }
  return shiftToPrimary(state, seen, spec);
}

/**
 * The guard wrote the rollback just before the promotion was stored: the primary may have the bad template by now,
 * and all the traffic. It gets its former one back together with the end of the run.
 */
export function withFormerPrimary(
  { run }: Pick<Promoting, "run">,
  { primary, route }: Observation,
  ended: Decision,
): Decision {
  const mark = route.kind === "present" ? route.rollback : undefined;
  if (mark === undefined || primary.kind !== "present" || primary.restored?.run === run.id) return ended;
  if (primary.revision !== run.revision) return ended;
  return { ...ended, effects: [{ kind: "restore-primary", run, mark }, ...ended.effects] };
}

/** What speaks against going on; undefined where nothing does. */
function trouble(state: Promoting, seen: Observation, spec: DecisionSpec): Cause | undefined {
  const { harm, target, primary } = seen;
  const exposed = takesTraffic(spec.plan, state);
  if (harm !== undefined && exposed) {
    return { reason: harm.by === "trip-wire" ? "TripWire" : "Harm", message: harm.reason };
  }
  if (target.kind === "missing" && exposed) {
    return { reason: "TargetDeleted", message: targetNotice(target, spec).message };
  }
  // Once the target asks for something newer its pods say nothing about this run.
  if (target.kind === "present" && target.revision === state.run.revision && exposed) {
    const message = podTrouble(target, exposed);
    if (message !== undefined) return { reason: "PodFailure", message };
  }
  if (
    primary.kind === "present" &&
    primary.readiness.kind === "failed" &&
    primary.revision === state.run.revision
  ) {
    return { reason: "Promotion", message: `${spec.primary} not ready: ${primary.readiness.message}` };
  }
  return undefined;
}

/** Ends a promotion: at once where the primary still has its former template, else that one is restored first. */
export function takeBack(state: Promoting, seen: Observation, spec: DecisionSpec, cause: Cause): Decision {
  const { primary } = seen;
  const untouched = primary.kind === "present" && primary.revision !== state.run.revision;
  if (untouched && primary.readiness.kind === "ready") return rollBack(state, seen, spec, cause);
  if (primary.kind === "missing") {
    return {
      next: state,
      effects: [{ kind: "create-primary", revision: state.promoted ?? state.run.revision }],
    };
  }
  return {
    next: state,
    effects: [
      { kind: "restore-primary", run: state.run, mark: rollbackMark(state, cause, seen.now) },
      {
        kind: "event",
        type: "Warning",
        reason: "PromotionTakenBack",
        message: `Restoring the template of ${spec.primary}: ${cause.message}`,
      },
    ],
    notice: { reason: "Restoring", message: `restoring ${spec.primary}: ${cause.message}`, stalled: false },
  };
}

/** The former template is back; the route follows when it is ready to take all traffic. */
function afterRestore(state: Promoting, seen: Observation, spec: DecisionSpec, cause: Cause): Decision {
  const { primary } = seen;
  if (primary.kind === "present" && primary.readiness.kind === "ready")
    return rollBack(state, seen, spec, cause);
  const waiting =
    primary.kind === "present" && primary.readiness.kind !== "ready" ? primary.readiness.message : "gone";
  return {
    next: state,
    effects: [{ kind: "store" }],
    notice: {
      reason: "Restoring",
      message: `restoring ${spec.primary} (${waiting}): ${cause.message}`,
      stalled: primary.kind === "present" && primary.readiness.kind === "failed",
    },
    again: 500,
  };
}

function shiftToPrimary(state: Promoting, seen: Observation, spec: DecisionSpec): Decision {
  const { run, canaryWeight } = state;
  const left = spec.stepWeightPromotion > 0 ? Math.max(canaryWeight - spec.stepWeightPromotion, 0) : 0;
  if (left > 0) {
    const due = (run.tickedAt ?? 0) + spec.interval;
    if (seen.now < due) return { next: state, effects: [{ kind: "store" }], again: due - seen.now };
    const next: Promoting = {
      ...state,
      canaryWeight: left,
      run: { ...run, tickedAt: seen.now, steppedAt: seen.now },
    };
    return {
      next,
      effects: [
        { kind: "store" },
        { kind: "set-traffic", run: next.run },
        {
          kind: "event",
          type: "Normal",
          reason: "Advance",
          message: `Advance ${spec.canary} primary weight ${100 - left}`,
        },
      ],
    };
  }
  const next: Finalising = {
    ...remembered(state),
    phase: "Finalising",
    run: { ...run, steppedAt: seen.now },
  };
  return {
    next,
    effects: [
      { kind: "store" },
      { kind: "set-traffic", run },
      {
        kind: "event",
        type: "Normal",
        reason: "Finalising",
        message:
          spec.stepWeightPromotion > 0
            ? `Advance ${spec.canary} primary weight 100`
            : "Routing all traffic to primary",
      },
    ],
  };
}
