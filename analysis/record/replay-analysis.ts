import type { ReadCanary } from "../../api/canary/types.ts";
import { wholeRange } from "../checks/signals.ts";
import { checkValue, noData } from "../checks/threshold.ts";
import type { Check } from "../checks/types.ts";
import { advance } from "../judge/advance.ts";
import { guardJudge, sequentialJudge } from "../judge/settings.ts";
import { createTripWire } from "../judge/trip-wire.ts";
import type { AdvanceSettings, Judgement, JudgeSettings, Progress } from "../judge/types.ts";
import type { ReplayResult } from "../replay/replay.ts";
import { advanceSettings, judgeBase, sequentialSettings, shieldSettings } from "../settings.ts";
import type { Row, RunRecord } from "./format.ts";
import { exposedAt, judgeAgain, weightsOf } from "./replay.ts";

/** Everything that may move a run, as a record can be judged by it. */
interface RecordedAnalysis {
  /** undefined where checks alone decide. */
  readonly judge: JudgeSettings | undefined;
  readonly advance: AdvanceSettings;
  readonly tripWire: boolean;
  /** What a tick's checks mean; absent: as they were judged then. */
  readonly checks?: (measured: readonly Check[]) => readonly Check[];
}

/**
 * Judges a record by a whole analysis, at the weights that the canary had: the judge's evidence poll by poll, the rule
 * of steps at each tick with the checks as they were measured, the trip wire on the attempts that were kept.
 *
 * @throws {RecordError} where the canary never took traffic
 */
function replayAnalysis(record: RunRecord, analysis: RecordedAnalysis): ReplayResult {
  const { head, rows } = record;
  const weights = weightsOf(record);
  const began = exposedAt(record) ?? 0;
  const polls = analysis.judge && judgeAgain(record, analysis.judge);
  let judgement: Judgement | undefined;
  let progress: Progress = { weight: 0, failedChecks: 0 };
  let t = 0;
  const result = (verdict: ReplayResult["verdict"]): ReplayResult => ({
    verdict,
    t: Math.round(t),
    logE: judgement?.harm ?? null,
    weights: weights.filter(([at]) => at <= t),
  });
  for (const row of rows) {
    t = (row.t - began) / 1000;
    switch (row.k) {
      case "weight":
        progress = { ...progress, weight: row.weight };
        break;
      case "poll": {
        const next = polls?.next();
        if (next?.done === false) ({ judgement } = next.value);
        if (judgement?.verdict === "rollback" && progress.weight > 0 && t > 0) return result("rolled back");
        break;
      }
      case "harm":
        if (analysis.tripWire && isOutage(row, began)) return result("rolled back");
        break;
      case "checks": {
        if (progress.weight === 0) break;
        const advice = advance({
          judgement,
          checks: analysis.checks?.(row.checks) ?? row.checks,
          settings: analysis.advance,
          progress,
          now: head.at + row.t,
        });
        if (advice.kind === "roll-back") return result("rolled back");
        if (advice.kind === "promote") return result("promoted");
        progress = {
          weight: progress.weight,
          failedChecks: advice.failedChecks,
          ...(advice.kind === "hold" && advice.heldSince !== undefined && { heldSince: advice.heldSince }),
        };
        break;
      }
      default:
    }
  }
  return result("held");
}

/** Whether the attempts of this verdict trip the wire again. */
function isOutage({ attempts = [] }: Extract<Row, { k: "harm" }>, began: number): boolean {
  const wire = createTripWire();
  return attempts.some(([at, canary, failed, connection, times]) => {
    const arm = canary === 1 ? "canary" : "primary";
    return wire.take({ at, arm, failed: failed === 1, connection, times }, began) !== undefined;
  });
}

/** How a Canary would have read the values that another one's checks found. */
function checksOf({ analysis }: ReadCanary): (measured: readonly Check[]) => readonly Check[] {
  const builtIn: readonly string[] = ["request-success-rate", "request-duration"];
  const metrics = analysis.metrics.filter(
    ({ kind }) => analysis.sequential === undefined || !builtIn.includes(kind),
  );
  return (measured) =>
    metrics.map(({ name, kind, range }): Check => {
      const found = measured.find((check) => check.name === name);
      if (found === undefined) return noData(name, range, `metric ${name} was not measured in this run`);
      if (found.value === undefined) return found;
      return checkValue(
        name,
        found.value,
        kind === "request-duration" ? wholeRange(range) : range,
        found.query,
      );
    });
}

/**
 * Judges a record by all of an analysis: the run's own, or that of `canary`.
 *
 * @throws {RecordError} where the canary never took traffic
 */
export function replayRun(record: RunRecord, canary?: ReadCanary): ReplayResult {
  const { head } = record;
  if (canary === undefined)
    return replayAnalysis(record, { judge: head.judge ?? undefined, advance: head.advance, tripWire: true });
  const { analysis } = canary;
  const base = { ...judgeBase(analysis), bounds: head.bounds };
  const sequential = sequentialSettings(analysis);
  const judge =
    sequential === undefined ? guardJudge(base, analysis.guard) : sequentialJudge(base, sequential);
  const shield = analysis.shield && shieldSettings(analysis).byWeight;
  return replayAnalysis(record, {
    judge: judge && shield ? { ...judge, shield } : judge,
    advance: advanceSettings(analysis),
    tripWire: analysis.guard.tripWire,
    checks: checksOf(canary),
  });
}
