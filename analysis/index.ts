/** The published entry `fairlead/analysis`: judge your own counters, replay your own traces. */

export { advance } from "./judge/advance.ts";
export { observe as judge } from "./judge/observe.ts";
export { guardJudge, sequentialJudge } from "./judge/settings.ts";
export { createState, setWeight } from "./judge/state.ts";
export type {
  AdvanceSettings,
  Advice,
  Counters,
  Counts,
  Judgement,
  JudgeSettings,
  JudgeState,
  Progress,
  TestSettings,
} from "./judge/types.ts";
export type { RuleName } from "./replay/create-rule.ts";
export { type ReplayResult, replay } from "./replay/replay.ts";
export { readTrace, type Trace, TraceError } from "./replay/trace.ts";
