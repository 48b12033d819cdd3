import type { Ask } from "./effects.ts";
import { closedByHand, gatesToAsk } from "./gates.ts";
import type { Observation } from "./observation.ts";
import { gateBefore, hasBegun } from "./plan.ts";
import { type DecisionSpec, hooksOf } from "./spec.ts";
import type { Progressing } from "./state.ts";

/**
 * What the next tick of an analysis asks: before the first weight the pre-rollout hooks, later rollout hooks
 * and metrics; then the gate of what comes next.
 *
 * The first question needs no tick: a ready canary gets its first weight at once.
 *
 * @returns undefined where there is nothing to ask, so that the canary may go on
 */
export function askTick(state: Progressing, seen: Observation, spec: DecisionSpec): Ask | undefined {
  const { run, canaryWeight } = state;
  const first = !hasBegun(state);
  const hooks = [
    ...hooksOf(spec, "rollback"),
    ...(first ? (run.preRolloutPassed ? [] : hooksOf(spec, "pre-rollout")) : hooksOf(spec, "rollout")),
  ];
  const gate = gateBefore(spec.plan, state);
  const gates = gate === undefined ? [] : gatesToAsk(spec, seen.gates, gate);
  const isShut = gate !== undefined && closedByHand(spec, seen.gates, gate) !== undefined;
  if (first && hooks.length === 0 && gates.length === 0 && !isShut) return undefined;
  return {
    about: {
      phase: state.phase,
      run: run.id,
      revision: run.revision,
      weight: canaryWeight,
      ...(run.tickedAt !== undefined && { tickedAt: run.tickedAt }),
    },
    hooks,
    checks: !first,
    gates,
    phase: state.phase,
    run: run.id,
    revision: run.revision,
    notBefore: run.tickedAt === undefined ? seen.now : dueAt(run.tickedAt, seen, spec),
  };
}

/** When the tick that is counted now was due: the clock keeps its beat, unless it is more than one interval late. */
export function countedAt({ run }: Progressing, seen: Observation, spec: DecisionSpec): number {
  if (run.tickedAt === undefined) return seen.now;
  const due = dueAt(run.tickedAt, seen, spec);
  return seen.now - due < spec.interval ? Math.min(due, seen.now) : seen.now;
}

/** A clock that was set back must not stop the canary: never more than one interval from now. */
function dueAt(tickedAt: number, { now }: Observation, { interval }: DecisionSpec): number {
  return Math.min(tickedAt + interval, now + interval);
}

/** Whoever holds a canary still wants it taken back when a rollback hook says so. */
export function askRollback(
  { run, phase }: Progressing,
  seen: Observation,
  spec: DecisionSpec,
): Ask | undefined {
  const hooks = hooksOf(spec, "rollback");
  if (hooks.length === 0) return undefined;
  return {
    about: { phase: "paused", run: run.id, revision: run.revision },
    hooks,
    checks: false,
    gates: [],
    phase,
    run: run.id,
    revision: run.revision,
    notBefore: seen.now + spec.interval,
  };
}
