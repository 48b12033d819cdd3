import type { Check } from "../checks/types.ts";
import { nextWeight } from "./steps.ts";
import type { AdvanceSettings, Advice, Judgement, Progress } from "./types.ts";

export interface AdvanceInput {
  /** undefined where nothing is judged (guard off, no signals). */
  readonly judgement: Judgement | undefined;
  /** What this tick measured; undefined between two ticks, when nothing but the evidence may move the run. */
  readonly checks: readonly Check[] | undefined;
  readonly settings: AdvanceSettings;
  readonly progress: Progress;
  readonly now: number;
}

/**
 * The one rule for steps: what a run's next move is. Pure.
 *
 * A roll-back verdict of the judge comes first and waits for nothing. Then Flagger's rule: a failed check holds and
 * counts, for the whole run; the check that reaches the threshold rolls back at once (Flagger: a tick later). Only
 * passed checks step. Inconclusive checks hold; `noData` and `providerErrors` may make them failed ones. With
 * `sequential` a step also needs the judge's leave.
 */
export function advance({ judgement, checks, settings, progress, now }: AdvanceInput): Advice {
  const judged = (checks ?? []).map((check) => countedAs(check, settings));
  const failed = judged.filter(({ kind }) => kind === "failed");
  const failedChecks = progress.failedChecks + (failed.length > 0 ? 1 : 0);
  const base = { failedChecks, checks: judged };
  if (judgement?.verdict === "rollback") return { ...base, kind: "roll-back", reason: judgement.reason };
  if (failedChecks >= settings.threshold && (failed.length > 0 || checks !== undefined)) {
    const reason = failed[0]?.reason ?? "nothing more may fail";
    return {
      ...base,
      kind: "roll-back",
      reason: `failed checks threshold reached ${failedChecks}: ${reason}`,
    };
  }
  const waiting =
    checks === undefined ? "between two ticks" : obstacle(judged, judgement, settings, progress);
  if (waiting !== undefined) return hold(base, waiting, checks === undefined, settings, progress, now);
  const weight = nextWeight(progress.weight, settings.steps);
  if (weight === undefined)
    return { ...base, kind: "promote", reason: `passed at weight ${progress.weight}` };
  return {
    ...base,
    kind: "step",
    weight,
    reason: progress.weight === 0 ? "first step" : `passed at weight ${progress.weight}`,
  };
}

/** Why a tick does not move the run; undefined where it may. The first weight needs no evidence: there is none yet. */
function obstacle(
  checks: readonly Check[],
  judgement: Judgement | undefined,
  settings: AdvanceSettings,
  { weight }: Progress,
): string | undefined {
  const blocking =
    checks.find(({ kind }) => kind === "failed") ?? checks.find(({ kind }) => kind === "inconclusive");
  if (blocking !== undefined) return blocking.reason;
  if (settings.rule === "flagger" || weight === 0) return undefined;
  if (judgement === undefined) return "no evidence yet";
  const last = nextWeight(weight, settings.steps) === undefined;
  return (last ? judgement.mayPromote : judgement.mayStep) ? undefined : judgement.reason;
}

function hold(
  base: Pick<Advice, "failedChecks" | "checks">,
  reason: string,
  between: boolean,
  settings: AdvanceSettings,
  progress: Progress,
  now: number,
): Advice {
  const heldSince = progress.heldSince ?? (between ? undefined : now);
  const stalled = heldSince !== undefined && now - heldSince >= settings.deadline;
  if (stalled && settings.onInconclusive === "rollback") {
    return { ...base, kind: "roll-back", reason: `held past the deadline: ${reason}` };
  }
  const failedNow = base.checks.some(({ kind }) => kind === "failed");
  if (stalled && settings.onInconclusive === "promote" && !failedNow && !between) {
    return { ...base, kind: "promote", reason: `held past the deadline: ${reason}` };
  }
  return { ...base, kind: "hold", reason, heldSince, stalled };
}

/** Flagger counts no data and provider errors as failed checks; here that is a choice of the Canary. */
function countedAs(check: Check, { noData, providerErrors }: AdvanceSettings): Check {
  if (check.kind !== "inconclusive") return check;
  const fails = check.cause === "provider-error" ? providerErrors === "fail" : noData === "fail";
  return fails ? { ...check, kind: "failed" } : check;
}
