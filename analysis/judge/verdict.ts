import { binomialTail } from "./binomial.ts";
import { dispersion } from "./dispersion.ts";
import { logAddExp, logSumExp } from "./logspace.ts";
import { fromStart, notYet } from "./onset.ts";
import { harmReason, safeReason } from "./reason.ts";
import { nothing } from "./recent.ts";
import { safeBets } from "./safe.ts";
import { noAttempts, shortfall } from "./shortfall.ts";
import { nextWeight, stepNumber } from "./steps.ts";
import type { Judgement, JudgeSettings, JudgeState, TestEvidence, TestSettings, TestState } from "./types.ts";

/** What the state means at `now`: the verdict, and whether the next move is allowed. */
export function judgementOf(state: JudgeState, now: number, settings: JudgeSettings): Judgement {
  const harms = state.tests.map(testHarm);
  const tests = settings.tests.map((test, index) => evidenceOf(state, index, test, harms[index] ?? 0));
  const shared = harms.map((harm, index) => harm + Math.log(settings.tests[index]?.share ?? 0));
  const harm = totalHarm(state, shared, now, settings);
  const rollbackAt = Math.log(1 / settings.alpha);
  const missing = settings.shield && shortfall(state.attempts ?? noAttempts, state.weight);
  const verdict =
    harm >= rollbackAt || missing !== undefined ? "rollback" : harm >= rollbackAt / 2 ? "amber" : "none";
  const proofs = tests.flatMap((test) => (test.safe === undefined ? [] : [test.safe]));
  const guard = settings.method === "guard";
  const safe = guard || proofs.length === 0 ? 0 : Math.min(...proofs);
  const promoteAt = guard
    ? 0
    : (Math.log(1 / settings.beta) * stepNumber(state.weight, settings.steps)) /
      Math.max(settings.steps.length, 1);
  const gate = guard ? undefined : held(state, now, settings, safe, promoteAt);
  const allowed = verdict !== "rollback" && (guard || (verdict === "none" && gate === undefined));
  const last = nextWeight(state.weight, settings.steps) === undefined;
  const worstEvidence = tests[shared.indexOf(Math.max(...shared))];
  return {
    at: now,
    harm,
    rollbackAt,
    safe,
    promoteAt,
    verdict,
    mayStep: allowed && (guard || !last),
    mayPromote: allowed && (guard || last),
    worst: worstEvidence?.metric ?? "",
    reason:
      missing !== undefined
        ? missing
        : verdict === "none"
          ? (gate ?? safeReason(safe, promoteAt, guard))
          : harmReason(worstEvidence, harm, verdict),
    tests,
  };
}

/** ln of the mixture over tests, sizes of fault and onsets. */
function totalHarm(
  state: JudgeState,
  shared: readonly number[],
  now: number,
  settings: JudgeSettings,
): number {
  const elapsed = state.startedAt === undefined ? 0 : Math.max(now - state.startedAt, 0);
  const rest = Math.log(notYet(elapsed, settings.interval * settings.steps.length));
  return logSumExp([rest, ...shared]);
}

/** ln of one test's mixture over sizes of fault and onsets that have begun. */
function testHarm(test: TestState): number {
  const bets = test.early.map((early, bet) =>
    logAddExp(Math.log(fromStart) + early, test.late[bet] ?? Number.NEGATIVE_INFINITY),
  );
  return logSumExp(bets) - Math.log(bets.length);
}

function evidenceOf(state: JudgeState, index: number, settings: TestSettings, harm: number): TestEvidence {
  const test = state.tests[index];
  const { canary, canaryBad, primary, primaryBad } = state.recent.tests[index] ?? nothing;
  const base = {
    name: settings.name,
    metric: settings.metric,
    harm,
    canaryRequests: canary,
    dispersion: test === undefined ? 1 : dispersion(test, state.last?.halves !== undefined),
  };
  return {
    ...base,
    ...(settings.bad.kind === "paired" ? { paired: true } : {}),
    ...(test === undefined || settings.mde === undefined
      ? {}
      : { safe: logSumExp(test.safe) - Math.log(safeBets.length) }),
    ...(canary > 0 ? { canary: canaryBad / canary } : {}),
    ...(primary > 0 ? { primary: primaryBad / primary } : {}),
  };
}

/** Why the next move has to wait although nothing speaks against the canary; undefined where it need not. */
function held(
  state: JudgeState,
  now: number,
  settings: JudgeSettings,
  safe: number,
  promoteAt: number,
): string | undefined {
  const { startedAt, enteredAt, recent, weight } = state;
  if (startedAt === undefined || enteredAt === undefined || recent.polls.length === 0)
    return "waiting for the first traffic";
  const { canary, canaryFailed: failed, all } = recent;
  if (canary === 0) return "no requests reached the canary in the last interval";
  const { allowedErrors } = settings;
  if (
    allowedErrors !== undefined &&
    failed > canary * allowedErrors &&
    binomialTail(failed, canary, allowedErrors) < 0.05
  ) {
    return `${failed} of ${canary} canary requests failed in the last interval, above the threshold`;
  }
  if (now - enteredAt < settings.interval) return "the step has not lasted its interval";
  const next = nextWeight(weight, settings.steps);
  const free = next !== undefined && (all * next) / 100 < settings.freeRequests;
  if (!free && safe < promoteAt) {
    return `not yet shown to be safe: evidence ${safe.toFixed(2)} of ${promoteAt.toFixed(2)}`;
  }
  return undefined;
}
