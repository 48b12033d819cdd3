import { binomialTail } from "./binomial.ts";
import { dispersion } from "./dispersion.ts";
import { harmBets } from "./harm.ts";
import { logAddExp, logSumExp } from "./logspace.ts";
import { fromStart, notYet } from "./onset.ts";
import { harmReason, safeReason } from "./reason.ts";
import { safeBets } from "./safe.ts";
import { nextWeight, stepNumber } from "./steps.ts";
import type { Judgement, JudgeSettings, JudgeState, TestEvidence, TestSettings, TestState } from "./types.ts";

/** What the state means at `now`: the verdict, and whether the next move is allowed. */
export function judgementOf(state: JudgeState, now: number, settings: JudgeSettings): Judgement {
  const tests = settings.tests.map((test, index) => evidenceOf(state, index, test));
  const harm = totalHarm(state, now, settings);
  const rollbackAt = Math.log(1 / settings.alpha);
  const verdict = harm >= rollbackAt ? "rollback" : harm >= rollbackAt / 2 ? "amber" : "none";
  const proofs = tests.flatMap((test) => (test.safe === undefined ? [] : [test.safe]));
  const guard = settings.method === "guard";
  const safe = guard || proofs.length === 0 ? 0 : Math.min(...proofs);
  const promoteAt = guard
    ? 0
    : (Math.log(1 / settings.beta) * stepNumber(state.weight, settings.steps)) /
      Math.max(settings.steps.length, 1);
  const worst = worstTest(state, settings);
  const gate = guard ? undefined : held(state, now, settings, safe, promoteAt);
  const allowed = verdict !== "rollback" && (guard || (verdict === "none" && gate === undefined));
  const last = nextWeight(state.weight, settings.steps) === undefined;
  const worstEvidence = tests[worst];
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
      verdict === "none"
        ? (gate ?? safeReason(safe, promoteAt, guard))
        : harmReason(worstEvidence, harm, verdict),
    tests,
  };
}

/** ln of the mixture over tests, sizes of fault and onsets. */
function totalHarm(state: JudgeState, now: number, settings: JudgeSettings): number {
  const elapsed = state.startedAt === undefined ? 0 : Math.max(now - state.startedAt, 0);
  const rest = Math.log(notYet(elapsed, settings.interval * settings.steps.length));
  return logSumExp([
    rest,
    ...state.tests.map((test, index) => testHarm(test, settings.tests[index]?.share ?? 0)),
  ]);
}

function testHarm(test: TestState, share: number): number {
  const bets = test.early.map((early, bet) =>
    logAddExp(Math.log(fromStart) + early, test.late[bet] ?? Number.NEGATIVE_INFINITY),
  );
  return Math.log(share) - Math.log(harmBets.length) + logSumExp(bets);
}

function worstTest(state: JudgeState, settings: JudgeSettings): number {
  const harms = state.tests.map((test, index) => testHarm(test, settings.tests[index]?.share ?? 0));
  return harms.indexOf(Math.max(...harms));
}

function evidenceOf(state: JudgeState, index: number, settings: TestSettings): TestEvidence {
  const test = state.tests[index];
  const polls = state.recent.flatMap((poll) => poll.tests[index] ?? []);
  const sum = (of: (poll: (typeof polls)[number]) => number): number =>
    polls.reduce((total, poll) => total + of(poll), 0);
  const canary = sum((poll) => poll.canary);
  const primary = sum((poll) => poll.primary);
  const base = {
    name: settings.name,
    metric: settings.metric,
    harm: test === undefined ? 0 : testHarm(test, 1),
    canaryRequests: canary,
    dispersion: test === undefined ? 1 : dispersion(test, state.last?.halves !== undefined),
  };
  return {
    ...base,
    ...(test === undefined || settings.mde === undefined
      ? {}
      : { safe: logSumExp(test.safe) - Math.log(safeBets.length) }),
    ...(canary > 0 ? { canary: sum((poll) => poll.canaryBad) / canary } : {}),
    ...(primary > 0 ? { primary: sum((poll) => poll.primaryBad) / primary } : {}),
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
  if (startedAt === undefined || enteredAt === undefined || recent.length === 0)
    return "waiting for the first traffic";
  const canary = recent.reduce((sum, poll) => sum + poll.canary, 0);
  if (canary === 0) return "no requests reached the canary in the last interval";
  const failed = recent.reduce((sum, poll) => sum + poll.canaryFailed, 0);
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
  const all = recent.reduce((sum, poll) => sum + poll.all, 0);
  const free = next !== undefined && (all * next) / 100 < settings.freeRequests;
  if (!free && safe < promoteAt) {
    return `not yet shown to be safe: evidence ${safe.toFixed(2)} of ${promoteAt.toFixed(2)}`;
  }
  return undefined;
}
