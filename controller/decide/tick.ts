import type { Check } from "../../analysis/checks/types.ts";
import { advance } from "../../analysis/judge/advance.ts";
import type { Advice } from "../../analysis/judge/types.ts";
import { askRollback, askTick, countedAt } from "./ask.ts";
import type { Decision, Effect } from "./effects.ts";
import { closedByHand, type GateType, gateNotice } from "./gates.ts";
import type { HookOutcome, Measurement, Observation } from "./observation.ts";
import { describePosition, gateBefore, hasBegun, nextPosition, type Position } from "./plan.ts";
import { hookEvents } from "./resting.ts";
import { type Cause, rollBack } from "./roll-back.ts";
import type { DecisionSpec } from "./spec.ts";
import { type Progressing, type Promoting, remembered } from "./state.ts";

/** One tick of a canary that is ready: what is to be asked, or what the answers allow. */
export function tick(state: Progressing, seen: Observation, spec: DecisionSpec): Decision {
  if (spec.skipAnalysis) return promote(state, seen, spec, []);
  if (state.run.knownGood) {
    const message = `${spec.target} was promoted before, its analysis is skipped`;
    return promote(state, seen, spec, [event("Normal", "KnownGood", message)]);
  }
  const ask = askTick(state, seen, spec);
  if (ask === undefined) return applyAdvice(state, seen, spec, undefined);
  const { measurement } = seen;
  if (measurement === undefined || !sameMoment(measurement.about, ask.about)) {
    const { waitingFor } = state.run;
    const gate = gateBefore(spec.plan, state);
    return {
      next: state,
      effects: [{ kind: "store" }],
      ask,
      ...(waitingFor !== undefined && gate && { notice: gateNotice(spec, gate, waitingFor) }),
    };
  }
  return applyAdvice(state, seen, spec, measurement);
}

/** `held`, and the rollback hooks each interval. */
export function askWhilePaused(
  state: Progressing,
  seen: Observation,
  spec: DecisionSpec,
  held: Decision,
): Decision {
  const ask = askRollback(state, seen, spec);
  if (ask === undefined) return held;
  const { measurement } = seen;
  if (measurement !== undefined && sameMoment(measurement.about, ask.about)) {
    const asked = rollbackAsked(measurement.hooks);
    if (asked !== undefined) return rollBack(state, seen, spec, asked);
  }
  return { ...held, ask };
}

/** What a rollback hook that passed ends the run for. */
function rollbackAsked(hooks: readonly HookOutcome[]): Cause | undefined {
  const asked = hooks.find(({ type, answer }) => type === "rollback" && answer.kind === "passed");
  return asked && { reason: "Hook", message: `rollback hook ${asked.name}`, check: asked.name };
}

function sameMoment(a: Measurement["about"], b: Measurement["about"]): boolean {
  return (
    a.phase === b.phase &&
    a.run === b.run &&
    a.revision === b.revision &&
    a.weight === b.weight &&
    a.tickedAt === b.tickedAt
  );
}

/** Carries out what a tick's answers allow. */
function applyAdvice(
  state: Progressing,
  seen: Observation,
  spec: DecisionSpec,
  measurement: Measurement | undefined,
): Decision {
  const hooks = measurement?.hooks ?? [];
  const asked = rollbackAsked(hooks);
  if (asked !== undefined) return rollBack(state, seen, spec, asked);
  const checks = [...hookChecks(hooks), ...(measurement?.checks ?? [])];
  // The rule needs to know whether evidence can be there already, and whether there is another step.
  const begun = hasBegun(state);
  const next = nextPosition(spec.plan, state);
  const advice = advance({
    judgement: measurement?.judgement,
    checks,
    settings: { ...spec.advance, steps: next === undefined ? [1] : [1, 2] },
    progress: {
      weight: begun ? 1 : 0,
      failedChecks: state.failedChecks,
      ...(state.run.heldSince !== undefined && { heldSince: state.run.heldSince }),
    },
    now: seen.now,
  });
  return carryOut(state, seen, spec, advice, measurement, next);
}

function carryOut(
  state: Progressing,
  seen: Observation,
  spec: DecisionSpec,
  advice: Advice,
  measurement: Measurement | undefined,
  position: Position | undefined,
): Decision {
  const counted = counting(state, seen, spec, advice, measurement);
  const started: readonly Effect[] =
    !hasBegun(state) && state.run.tickedAt === undefined
      ? [event("Normal", "AnalysisStarted", `Starting canary analysis for ${spec.target}`)]
      : [];
  const passed = hookEvents(
    (measurement?.hooks ?? []).filter(
      ({ type, answer }) => type === "pre-rollout" && answer.kind === "passed",
    ),
    "Pre-rollout",
  );
  const before = [...started, ...passed];
  const opened = openedGates(measurement);
  const left = advice.kind === "step" || advice.kind === "promote" ? heldFor(state, seen, spec) : 0;
  if (left > 0) {
    const message = `Halt ${spec.canary} advancement held at weight ${state.canaryWeight} for ${Math.ceil(left / 1000)} s more`;
    return { next: counted, effects: [{ kind: "store" }, ...before, event("Normal", "Held", message)] };
  }
  switch (advice.kind) {
    case "roll-back":
      return rollBack(counted, seen, spec, causeOfAdvice(advice, counted, spec));
    case "hold":
      return {
        next: counted,
        effects: [{ kind: "store" }, ...before, event("Warning", "Halt", haltText(advice, spec))],
        ...(advice.stalled && { notice: { reason: "Inconclusive", message: advice.reason, stalled: true } }),
      };
    case "step": {
      const closed =
        closedGate(measurement, seen, spec, "confirm-traffic-increase") ??
        (gateBefore(spec.plan, state) === "confirm-promotion"
          ? closedGate(measurement, seen, spec, "confirm-promotion")
          : undefined);
      if (closed !== undefined) {
        const phase = closed.type === "confirm-promotion" ? "WaitingPromotion" : counted.phase;
        return waitAtGate(state, { ...counted, phase }, spec, closed, before);
      }
      const { heldSince: _held, ...run } = counted.run;
      const next: Progressing = {
        ...counted,
        phase: "Progressing",
        ...position,
        run: {
          ...run,
          preRolloutPassed: true,
          ...(pausesAt(spec, position) && { paused: true }),
          steppedAt: seen.now,
          tickedAt: firstTickedAt(state, counted, seen),
        },
      };
      return {
        next,
        effects: [
          { kind: "store" },
          { kind: "set-traffic", run: next.run },
          ...before,
          ...opened,
          event("Normal", "Advance", describePosition(spec.plan, next, spec.canary)),
        ],
      };
    }
    case "promote": {
      const closed = closedGate(measurement, seen, spec, "confirm-promotion");
      if (closed !== undefined)
        return waitAtGate(state, { ...counted, phase: "WaitingPromotion" }, spec, closed, before);
      return promote(counted, seen, spec, [...before, ...opened]);
    }
  }
}

/** Flagger's words for a tick that does not advance; it tells missing values apart from bad ones. */
function haltText({ reason, checks }: Advice, spec: DecisionSpec): string {
  const missing = checks.find((check) => check.reason === reason && check.cause === "no-data");
  if (missing === undefined) return `Halt ${spec.canary} advancement ${reason}`;
  const { name } = missing;
  const metric = name.startsWith("request-") ? `${spec.provider} metric ${name}` : `metric ${name}`;
  const found = `no values found for ${metric} probably ${spec.target} is not receiving traffic`;
  return `Halt advancement ${found}: ${reason.slice(reason.indexOf(": ") + 2)}`;
}

/** The gates that were asked and let the canary go on. */
function openedGates(measurement: Measurement | undefined): readonly Effect[] {
  const open = (type: GateType) =>
    (measurement?.hooks ?? []).filter((hook) => hook.type === type && hook.answer.kind === "passed");
  return [
    ...hookEvents(open("confirm-traffic-increase"), "Confirm-traffic-increase"),
    ...hookEvents(open("confirm-promotion"), "Confirm-promotion"),
  ];
}

/** Milliseconds for which the weight is to be held yet. */
function heldFor({ canaryWeight, run }: Progressing, { now }: Observation, { plan }: DecisionSpec): number {
  const hold = plan.kind === "weights" ? plan.holds.get(canaryWeight) : undefined;
  return hold === undefined || run.steppedAt === undefined ? 0 : run.steppedAt + hold.duration - now;
}

function pausesAt({ plan }: DecisionSpec, position: Position | undefined): boolean {
  return plan.kind === "weights" && plan.holds.get(position?.canaryWeight ?? 0)?.pause === true;
}

/** The tick counted: failed checks, time, judge. */
function counting(
  state: Progressing,
  seen: Observation,
  spec: DecisionSpec,
  advice: Advice,
  measurement: Measurement | undefined,
): Progressing {
  const { heldSince: _before, waitingFor: _gate, ...run } = state.run;
  const heldSince = advice.kind === "hold" ? advice.heldSince : undefined;
  const preRolloutFailed = measurement?.hooks.some(
    ({ type, answer }) => type === "pre-rollout" && answer.kind !== "passed",
  );
  return {
    ...state,
    failedChecks: advice.failedChecks,
    checks: advice.checks,
    run: {
      ...run,
      tickedAt: countedAt(state, seen, spec),
      preRolloutPassed: state.run.preRolloutPassed || preRolloutFailed !== true,
      ...(heldSince !== undefined && { heldSince }),
      ...(measurement?.judge !== undefined && { judge: measurement.judge }),
    },
  };
}

/** The first weight starts the advance clock; later steps keep its beat. */
function firstTickedAt(state: Progressing, counted: Progressing, { now }: Observation): number {
  return hasBegun(state) ? (counted.run.tickedAt ?? now) : now;
}

function causeOfAdvice(advice: Advice, { failedChecks }: Progressing, spec: DecisionSpec) {
  const check = advice.checks.find(({ kind }) => kind === "failed")?.name;
  const reason =
    failedChecks >= spec.advance.threshold ? "Threshold" : check === undefined ? "Harm" : "Inconclusive";
  return { reason, message: advice.reason, ...(check !== undefined && { check }) } as const;
}

/** From analysis to promotion: what the primary serves now is kept before its first write. */
export function promote(
  state: Progressing,
  seen: Observation,
  spec: DecisionSpec,
  before: readonly Effect[],
): Decision {
  const { heldSince: _held, waitingFor: _gate, ...run } = state.run;
  const next: Promoting = {
    ...remembered(state),
    phase: "Promoting",
    run: {
      ...run,
      ...(state.promoted !== undefined && { primaryRevision: state.promoted }),
      ...(run.primaryReplicas !== undefined && {
        primaryReplicas: replicasForAll(run.primaryReplicas, seen),
      }),
    },
    canaryWeight: state.canaryWeight,
    iterations: state.iterations,
    failedChecks: state.failedChecks,
  };
  return {
    next,
    effects: [
      { kind: "store-primary", run: next.run },
      { kind: "store" },
      ...before,
      event("Normal", "Promoting", `Copying ${spec.target} template spec to ${spec.primary}`),
      { kind: "copy-to-primary", revision: run.revision },
    ],
  };
}

/** The primary is about to take what both take now: it gets as many pods before any traffic moves. */
function replicasForAll(before: number, { primary, target, mostPrimaryPods }: Observation): number {
  const now = primary.kind === "present" ? primary.replicas : 0;
  const canary = target.kind === "present" ? target.replicas : 0;
  // What its scaler never gives is not waited for.
  return Math.min(Math.max(before, now + canary), mostPrimaryPods ?? Number.POSITIVE_INFINITY);
}

/** A closed gate holds without counting against the canary; it is told once. */
function waitAtGate(
  state: Progressing,
  next: Progressing,
  spec: DecisionSpec,
  { name, type, muteAlert }: ClosedGate,
  before: readonly Effect[],
): Decision {
  const message =
    type === "confirm-promotion"
      ? "Canary promotion is waiting for approval."
      : "Canary traffic increase is waiting for approval.";
  const isNews = state.run.waitingFor !== name && !muteAlert;
  return {
    next: { ...next, run: { ...next.run, waitingFor: name } },
    effects: [
      { kind: "store" },
      ...before,
      ...(isNews ? [{ kind: "alert", severity: "warn", message } as const] : []),
    ],
    notice: gateNotice(spec, type, name),
  };
}

interface ClosedGate extends Pick<HookOutcome, "name" | "muteAlert"> {
  readonly type: GateType;
}

function closedGate(
  measurement: Measurement | undefined,
  { gates }: Observation,
  spec: DecisionSpec,
  type: GateType,
): ClosedGate | undefined {
  const byHand = closedByHand(spec, gates, type);
  if (byHand !== undefined) return { name: byHand, type, muteAlert: false };
  const shut = measurement?.hooks.find((hook) => hook.type === type && hook.answer.kind !== "passed");
  return shut && { name: shut.name, type, muteAlert: shut.muteAlert };
}

/** Pre-rollout and rollout hooks count like checks. */
function hookChecks(hooks: readonly HookOutcome[]): readonly Check[] {
  return hooks
    .filter(({ type }) => type === "pre-rollout" || type === "rollout")
    .map(({ name, type, answer }): Check => {
      const what = type === "rollout" ? "external check" : "pre-rollout check";
      const reason =
        answer.kind === "passed" ? `${what} ${name} passed` : `${what} ${name} failed ${answer.text}`;
      // A hook that does not answer in time has failed, as Flagger counts it.
      return { name, kind: answer.kind === "passed" ? "passed" : "failed", threshold: "", reason };
    });
}

function event(type: "Normal" | "Warning", reason: string, message: string): Effect {
  return { kind: "event", type, reason, message };
}
