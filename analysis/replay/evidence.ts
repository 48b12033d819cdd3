import { advance } from "../judge/advance.ts";
import { observe } from "../judge/observe.ts";
import { createState, setWeight } from "../judge/state.ts";
import type {
  AdvanceSettings,
  Counters,
  Counts,
  Judgement,
  JudgeSettings,
  JudgeState,
} from "../judge/types.ts";
import type { Rule } from "./rules.ts";

/**
 * The judge that runs in production, on a trace: `sequential` (its steps by evidence) or `guard` (a step each
 * interval), polled each `poll` seconds.
 */
export function evidenceRule(settings: JudgeSettings, poll: number): Rule {
  const advanceSettings: AdvanceSettings = {
    rule: settings.method === "sequential" ? "sequential" : "flagger",
    steps: settings.steps,
    threshold: 1,
    noData: "hold",
    providerErrors: "hold",
    deadline: Number.POSITIVE_INFINITY,
    onInconclusive: "hold",
  };
  const nothing: Counts = { requests: 0, failed: 0, buckets: settings.bounds.map(() => 0).concat(0) };
  let total: Counters = {
    canary: nothing,
    primary: nothing,
    halves: [nothing, nothing],
    latencyKnown: true,
  };
  let state: JudgeState = createState(settings);
  let judgement: Judgement | undefined;
  return {
    past: true,
    second(t, { canary, primary }, weight) {
      const [first, second] = total.halves ?? [nothing, nothing];
      total = {
        canary: add(total.canary, canary),
        primary: add(total.primary, add(...primary)),
        halves: [add(first, primary[0]), add(second, primary[1])],
        latencyKnown: true,
      };
      if (t > 0) state = setWeight(state, weight, enteredAt(state, t));
      if (t % poll !== 0) return "hold";
      ({ state, judgement } = observe(state, total, t * 1000, settings));
      if (t <= 0) return "hold";
      const due = t * 1000 - (state.enteredAt ?? 0) >= settings.interval;
      const progress = { weight, failedChecks: 0 };
      const advice = advance({
        judgement,
        checks: due ? [] : undefined,
        settings: advanceSettings,
        progress,
        now: t * 1000,
      });
      return advice.kind === "roll-back" ? "roll back" : advice.kind;
    },
    logE: () => judgement?.harm ?? null,
  };
}

/** A weight set after the poll at t - 1 holds from then on. */
function enteredAt(state: JudgeState, t: number): number {
  return state.startedAt === undefined ? 0 : (t - 1) * 1000;
}

function add(a: Counts, b: Counts): Counts {
  return {
    requests: a.requests + b.requests,
    failed: a.failed + b.failed,
    buckets: a.buckets.map((count, bucket) => count + (b.buckets[bucket] ?? 0)),
  };
}
