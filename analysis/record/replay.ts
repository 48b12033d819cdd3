import type { ReadCanary } from "../../api/canary/types.ts";
import type { Percent } from "../../lib/units.ts";
import { observe } from "../judge/observe.ts";
import { guardJudge, sequentialJudge } from "../judge/settings.ts";
import { createState, setWeight } from "../judge/state.ts";
import { nextWeight } from "../judge/steps.ts";
import { restoreState } from "../judge/stored.ts";
import type { Judgement, JudgeSettings, JudgeState } from "../judge/types.ts";
import { createRule, type RuleName } from "../replay/create-rule.ts";
import type { ReplayResult } from "../replay/replay.ts";
import type { Rule } from "../replay/rules.ts";
import { judgeBase, sequentialSettings } from "../settings.ts";
import { type PollRow, pollCounters, RecordError, type RunRecord } from "./format.ts";

/** What the judge said at one poll of a record. */
export interface JudgedPoll {
  readonly row: PollRow;
  /** Weight at that poll. */
  readonly weight: Percent;
  /** Seconds since the first weight; negative before. */
  readonly t: number;
  readonly judgement: Judgement;
}

/** When the canary first took traffic, milliseconds since the head's `at`; undefined where it never did. */
export function exposedAt({ rows }: RunRecord): number | undefined {
  return rows.find((row) => row.k === "weight" && row.weight > 0)?.t;
}

/**
 * Judges a record again, poll by poll, at the weights that the canary had. With the settings of its own run (the
 * default) every figure comes out as it was then; with others it tells what these would have said.
 */
export function* judgeAgain(record: RunRecord, settings: JudgeSettings): Generator<JudgedPoll> {
  const { head, rows } = record;
  const began = exposedAt(record);
  const own = head.judge;
  let state: JudgeState = createState(settings);
  let weight = 0;
  for (const row of rows) {
    const now = head.at + row.t;
    if (row.k === "weight") {
      weight = row.weight;
      state = setWeight(state, weight, now);
    } else if (row.k === "resumed" && own !== null && settings === own) {
      state = restoreState(storedJudge(row.stored), settings, now) ?? state;
    } else if (row.k === "poll") {
      // What the row holds came since the one before: there is nothing to subtract.
      const { last: _, ...rest } = state;
      const { state: next, judgement } = observe(rest, pollCounters(row, head.bounds), now, settings);
      state = next;
      yield { row, weight, t: (row.t - (began ?? 0)) / 1000, judgement };
    }
  }
}

function storedJudge(stored: string | undefined): unknown {
  try {
    return (JSON.parse(stored ?? "{}") as { judge?: unknown }).judge;
  } catch {
    return undefined;
  }
}

/**
 * Judges a record by one rule alone, at the weights that the canary had (open loop).
 *
 * @throws {RecordError} where the canary never took traffic, or the rule cannot be asked of a record
 */
export function replayRule(record: RunRecord, rule: RuleName, canary?: ReadCanary): ReplayResult {
  const { head } = record;
  const analysis = canary?.analysis;
  const base = { ...(analysis ? judgeBase(analysis) : head.base), bounds: head.bounds };
  const own = analysis === undefined ? head.judge : undefined;
  switch (rule) {
    case "fairlead-5s":
      throw new RecordError("a run has the polls that were recorded: ask for `fairlead`");
    case "fairlead": {
      const settings = sequentialJudge(base, analysis && sequentialSettings(analysis));
      return replayEvidence(record, own?.method === "sequential" ? own : settings);
    }
    case "guard": {
      const guard = own?.method === "guard" ? own : guardJudge(base, analysis?.guard);
      if (guard === undefined)
        throw new RecordError("the guard has nothing to watch: no metric has a threshold");
      return replayEvidence(record, guard);
    }
    default: {
      const threshold = analysis?.threshold ?? head.advance.threshold;
      return replaySeconds(record, createRule(rule, { base, threshold }, 1));
    }
  }
}

/**
 * The verdict of a judge on a record, open loop: the weights are those of the run. `promoted` where the evidence
 * allowed it at the last weight; `held` where the record ends before.
 */
function replayEvidence(record: RunRecord, settings: JudgeSettings): ReplayResult {
  const weights = weightsOf(record);
  let end = 0;
  let logE: number | null = null;
  let entered = 0;
  for (const { t, weight, judgement } of judgeAgain(record, settings)) {
    if (t <= 0 || weight === 0) continue;
    end = t;
    logE = judgement.harm;
    const until = (verdict: ReplayResult["verdict"]): ReplayResult => ({
      verdict,
      t: Math.round(t),
      logE,
      weights: weights.filter(([at]) => at <= t),
    });
    if (judgement.verdict === "rollback") return until("rolled back");
    entered = weights.findLast(([at]) => at <= t)?.[0] ?? 0;
    const last = nextWeight(weight, settings.steps) === undefined;
    if (last && judgement.mayPromote && (t - entered) * 1000 >= settings.interval) return until("promoted");
  }
  return { verdict: "held", t: Math.round(end), logE, weights };
}

/** The verdict of a rule that counts in seconds, on a record. */
function replaySeconds(record: RunRecord, rule: Rule): ReplayResult {
  const { head } = record;
  const began = exposedAt(record) ?? 0;
  const weights = weightsOf(record);
  const seconds = new Map<number, PollRow[]>();
  for (const row of record.rows) {
    if (row.k !== "poll") continue;
    const second = Math.ceil((row.t - began) / 1000);
    seconds.set(second, [...(seconds.get(second) ?? []), row]);
  }
  const last = Math.max(0, ...seconds.keys());
  for (let t = 1; t <= last; t++) {
    const weight = weights.findLast(([at]) => at < t)?.[1] ?? 0;
    if (weight === 0) continue;
    const counts = (seconds.get(t) ?? []).map((row) => pollCounters(row, head.bounds));
    const none = { requests: 0, failed: 0, buckets: [...head.bounds, 0].map(() => 0) };
    const sum = (of: "canary" | "primary") =>
      counts.reduce(
        (all, { [of]: { requests, failed, buckets } }) => ({
          requests: all.requests + requests,
          failed: all.failed + failed,
          buckets: all.buckets.map((count, bucket) => count + (buckets[bucket] ?? 0)),
        }),
        none,
      );
    const ruling = rule.second(t, { canary: sum("canary"), primary: [sum("primary"), none] }, weight);
    const until = (verdict: ReplayResult["verdict"]): ReplayResult => ({
      verdict,
      t,
      logE: rule.logE(),
      weights: weights.filter(([at]) => at <= t),
    });
    if (ruling === "roll back") return until("rolled back");
    if (ruling === "promote") return until("promoted");
  }
  return { verdict: "held", t: last, logE: rule.logE(), weights };
}

/** The weights above 0 that the canary had: seconds since the first, percent. @throws {RecordError} where there are none */
export function weightsOf(record: RunRecord): (readonly [number, Percent])[] {
  const began = exposedAt(record);
  if (began === undefined) throw new RecordError("the canary of this run never took traffic");
  const weights: (readonly [number, Percent])[] = [];
  for (const row of record.rows) {
    if (row.k !== "weight" || row.weight === (weights.at(-1)?.[1] ?? 0)) continue;
    weights.push([Math.round((row.t - began) / 1000), row.weight]);
  }
  return weights;
}
