import type { SoakResult } from "../soak.ts";
import { openBed } from "./bed.ts";
import type { KillPoint } from "./killing-client.ts";
import { type Outcome, runRollout } from "./rollout.ts";
import { interval, type Scenario, scenarios } from "./scenarios.ts";

export interface SweepOptions {
  readonly say: (line: string) => void;
  readonly parallel: number;
  /** Part of the names of the scenarios to run. */
  readonly only: string;
  /** The one write to kill at; all where negative. */
  readonly write: number;
}

/** How much later a rollout may end that was killed once. */
const allowed = 2 * interval + 5000;

/** Every crash point of every scenario, on the embedded API server. */
export async function sweepEmbedded({ say, parallel, only, write }: SweepOptions): Promise<SoakResult> {
  const bed = await openBed();
  let number = 0;
  const rollout = (scenario: Scenario, kill?: KillPoint): Promise<Outcome> =>
    runRollout(scenario, `crash-${number++}`, kill, bed);
  const total = { passed: 0, failed: 0 };
  try {
    for (const scenario of scenarios.filter(({ name }) => name.includes(only))) {
      const straight = await straightRun(() => rollout(scenario));
      for (const line of straight.broken) say(`FAILED ${scenario.name}, not killed: ${line}`);
      if (straight.broken.length > 0) total.failed++;
      const points = straight.writes.flatMap((_what, write): KillPoint[] => [
        { write, when: "before" },
        { write, when: "after" },
      ]);
      const wanted = points.filter((point) => write < 0 || write === point.write);
      const result = await sweep(scenario, wanted, straight, { say, parallel, rollout });
      total.passed += result.passed;
      total.failed += result.failed;
      const seconds = (straight.took / 1000).toFixed(1);
      say(
        `${scenario.name}: ${result.passed} of ${wanted.length} crash points passed, ${seconds} s a rollout`,
      );
    }
  } finally {
    await bed.close();
  }
  return total;
}

/** A rollout that is not killed. Its last write may be one more or less, as watches come: two are run, and what both have counts. */
async function straightRun(run: () => Promise<Outcome>): Promise<Outcome> {
  const first = await run();
  const second = await run();
  const differs = first.remains !== second.remains;
  return {
    ...first,
    writes: first.writes.slice(0, second.writes.length),
    took: Math.max(first.took, second.took),
    broken: [
      ...first.broken,
      ...second.broken,
      ...(differs ? [`two runs end differently: ${first.remains} and ${second.remains}`] : []),
    ],
  };
}

interface SweepTools {
  readonly say: (line: string) => void;
  readonly parallel: number;
  readonly rollout: (scenario: Scenario, kill: KillPoint) => Promise<Outcome>;
}

async function sweep(
  scenario: Scenario,
  points: readonly KillPoint[],
  straight: Outcome,
  { say, parallel, rollout }: SweepTools,
): Promise<SoakResult> {
  const again: KillPoint[] = [];
  let passed = 0;
  let failed = 0;
  const judge = async (point: KillPoint, isLast: boolean): Promise<void> => {
    const { wrong, late, missed } = await tryPoint(() => rollout(scenario, point), straight);
    const what = straight.writes[point.write];
    const words = `${scenario.name}, killed ${point.when} write ${point.write} (${what})`;
    const problems = [...wrong, ...(late > 0 && isLast ? [`ended ${late} ms too late`] : [])];
    for (const problem of problems) say(`FAILED ${words}: ${problem}`);
    if (problems.length > 0) failed++;
    else if ((late > 0 || missed) && !isLast) again.push(point);
    else if (missed) say(`left out: ${words}: this time the rollout had fewer writes`);
    else passed++;
  };
  await inParallel(points, parallel, (point) => judge(point, false));
  // Times are the best of three; the last has the machine to itself.
  await inParallel(again.splice(0), 2, (point) => judge(point, false));
  for (const point of again.splice(0)) await judge(point, true);
  return { passed, failed };
}

interface Verdict {
  readonly wrong: readonly string[];
  /** Milliseconds beyond what is allowed. */
  readonly late: number;
  /** The rollout ended before its point came. */
  readonly missed: boolean;
}

async function tryPoint(run: () => Promise<Outcome>, straight: Outcome): Promise<Verdict> {
  try {
    const { remains, broken, took, killed } = await run();
    const late = Math.max(Math.round(took - straight.took - allowed), 0);
    const differs =
      remains === straight.remains ? [] : [`ended with ${remains} instead of ${straight.remains}`];
    return { wrong: [...broken, ...differs], late, missed: !killed };
  } catch (error) {
    return { wrong: [error instanceof Error ? error.message : String(error)], late: 0, missed: false };
  }
}

async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}
