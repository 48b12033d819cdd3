import type { Percent } from "../../lib/units.ts";
import { dispersionPrior } from "./dispersion.ts";
import { harmBets } from "./harm.ts";
import { noRecent } from "./recent.ts";
import { safeBets } from "./safe.ts";
import { signBets } from "./sign.ts";
import type { JudgeSettings, JudgeState, TestSettings } from "./types.ts";

/** A judge that has seen nothing: weight 0, no run begun. */
export function createState(settings: JudgeSettings): JudgeState {
  return {
    weight: 0,
    tests: settings.tests.map((test) => ({
      early: betsOf(test).map(() => 0),
      late: betsOf(test).map(() => Number.NEGATIVE_INFINITY),
      safe: test.mde === undefined ? [] : safeBets.map(() => 0),
      squares: dispersionPrior,
      bad: dispersionPrior,
    })),
    pastBuckets: Array.from({ length: settings.bounds.length + 1 }, () => 0),
    halves: [0, 0],
    seen: { canary: 0, primary: 0 },
    recent: noRecent,
    harm: 0,
  };
}

function betsOf({ bad }: TestSettings): readonly number[] {
  return bad.kind === "paired" ? signBets : harmBets;
}

/** The state after the proxies took another weight at `now`. The first weight above 0 starts the run's clock. */
export function setWeight(state: JudgeState, weight: Percent, now: number): JudgeState {
  if (weight === state.weight) return state;
  const startedAt = state.startedAt ?? (weight > 0 ? now : undefined);
  const { attempts: _, ...rest } = state;
  return {
    ...rest,
    weight,
    enteredAt: now,
    seen: { canary: 0, primary: 0 },
    ...(startedAt === undefined ? {} : { startedAt }),
  };
}
