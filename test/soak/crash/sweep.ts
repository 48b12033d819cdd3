import type { SoakResult } from "../soak.ts";
import { type Bed, openBed } from "./bed.ts";
import { runRollout } from "./rollout.ts";
import { scenarios } from "./scenarios.ts";
import { createSlots } from "./slots.ts";
import { type LatePoint, type SweepTools, sweepScenario } from "./sweep-scenario.ts";

export interface SweepOptions {
  readonly say: (line: string) => void;
  /** Rollouts at a time, each on an API server of its own: its controller is told of no other's objects. */
  readonly parallel: number;
  /** Part of the names of the scenarios to run. */
  readonly only: string;
  /** The one write to kill at; all where negative. */
  readonly write: number;
}

/** Rollouts at a time that are tried again because they were late. */
const fewer = 3;

/** Every crash point of every scenario, on embedded API servers. */
export async function sweepEmbedded({ say, parallel, only, write }: SweepOptions): Promise<SoakResult> {
  const chosen = scenarios.filter(({ name }) => name.includes(only));
  const total = { passed: 0, failed: 0 };
  if (chosen.length === 0) return total;
  const beds: Bed[] = await Promise.all(Array.from({ length: parallel }, openBed));
  const slots = createSlots(beds);
  let number = 0;
  const run: SweepTools["run"] = (scenario, kill) =>
    slots.run(chosen.indexOf(scenario), (bed) => runRollout(scenario, `crash-${number++}`, kill, bed));
  try {
    const swept = await Promise.all(chosen.map((scenario) => sweepScenario(scenario, write, { say, run })));
    for (const { passed, failed } of swept) {
      total.passed += passed;
      total.failed += failed;
    }
    // Times are the best of three; the last has the machine to itself.
    let late: readonly LatePoint[] = swept.flatMap((scenario) => scenario.late);
    for (const width of [fewer, 1]) late = await tryAgain(late, width, total);
  } finally {
    await Promise.all(beds.map((bed) => bed.close()));
  }
  return total;
}

/** Tries points again, `width` at a time, adds what they show to `total`, and returns those that are late still. */
async function tryAgain(
  points: readonly LatePoint[],
  width: number,
  total: { passed: number; failed: number },
): Promise<readonly LatePoint[]> {
  const slots = createSlots(Array.from({ length: width }, () => undefined));
  const late: LatePoint[] = [];
  await Promise.all(
    points.map((point) =>
      slots.run(0, async () => {
        const shown = await point(width === 1);
        if (shown === "late") late.push(point);
        else total[shown]++;
      }),
    ),
  );
  return late;
}
