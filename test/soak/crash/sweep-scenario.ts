import type { SoakResult } from "../soak.ts";
import type { KillPoint } from "./killing-client.ts";
import { type PointVerdict, tryPoint } from "./point.ts";
import type { Outcome } from "./rollout.ts";
import type { Scenario } from "./scenarios.ts";

export interface SweepTools {
  readonly say: (line: string) => void;
  /** Runs a rollout as soon as there is room. */
  readonly run: (scenario: Scenario, kill?: KillPoint) => Promise<Outcome>;
}

interface SweptScenario extends SoakResult {
  /** Points whose rollouts ended too late: on a busy machine that says nothing yet. */
  readonly late: readonly LatePoint[];
}

/** Tries a point again. Fewer rollouts run at a time then; at its last try a late end is a failure. */
export type LatePoint = (isLast: boolean) => Promise<"passed" | "failed" | "late">;

/** Rollouts for a point until one comes to it: watches may come so that a rollout has a write or two less than others. */
const tries = 4;
const sides = ["before", "after"] as const;

/**
 * Every crash point of one scenario: before and after each write, up to the one at which a rollout has ended before it came.
 *
 * @param only the one write to kill at; all where negative
 */
export async function sweepScenario(
  scenario: Scenario,
  only: number,
  { say, run }: SweepTools,
): Promise<SweptScenario> {
  const straight = await straightRun(() => run(scenario));
  // Its turn may have come late: what went before is not its own.
  const began = performance.now();
  for (const line of straight.broken) say(`FAILED ${scenario.name}, not killed: ${line}`);
  const count = { passed: 0, failed: straight.broken.length > 0 ? 1 : 0 };
  let last = -1;
  const unreached: KillPoint[] = [];
  const late: LatePoint[] = [];

  async function tryUntilReached(point: KillPoint): Promise<PointVerdict> {
    let verdict = await tryPoint(scenario, point, straight, run);
    for (let more = 1; more < tries && !verdict.reached && verdict.wrong.length === 0; more++)
      verdict = await tryPoint(scenario, point, straight, run);
    return verdict;
  }

  function failed({ words }: PointVerdict, problems: readonly string[]): boolean {
    for (const problem of problems) say(`FAILED ${words}: ${problem}`);
    return problems.length > 0;
  }

  /** Whether a rollout came to the point. */
  async function judge(point: KillPoint): Promise<boolean> {
    const verdict = await tryUntilReached(point);
    if (verdict.reached) last = Math.max(last, point.write);
    else unreached.push(point);
    if (failed(verdict, verdict.wrong)) count.failed++;
    else if (verdict.late !== undefined) late.push((isLast) => judgeAgain(point, isLast));
    else if (verdict.reached) count.passed++;
    return verdict.reached;
  }

  async function judgeAgain(point: KillPoint, isLast: boolean): Promise<"passed" | "failed" | "late"> {
    const verdict = await tryUntilReached(point);
    const problems = [...verdict.wrong, ...(verdict.reached ? [] : ["not reached again"])];
    if (isLast && verdict.late !== undefined) problems.push(verdict.late);
    if (failed(verdict, problems)) return "failed";
    return verdict.late === undefined ? "passed" : "late";
  }

  /** What only some rollouts come to: until one ends first. */
  async function beyond(first: number): Promise<void> {
    for (let write = first; ; write++) for (const when of sides) if (!(await judge({ write, when }))) return;
  }

  const certain = only < 0 ? Array.from(straight.writes.keys()) : [only];
  const points = certain.flatMap((write) => sides.map((when): KillPoint => ({ write, when })));
  await Promise.all([...points.map(judge), ...(only < 0 ? [beyond(straight.writes.length)] : [])]);
  // A write that no rollout came to lies beyond the end, but not where later ones were reached.
  for (const { write, when } of unreached.filter((point) => point.write < last)) {
    say(`FAILED ${scenario.name}: none of ${tries} rollouts came to write ${write} to be killed ${when} it`);
    count.failed++;
  }
  const parts = [`${last + 1} writes`, `${count.passed} crash points passed`, `${count.failed} failed`];
  if (late.length > 0) parts.push(`${late.length} late, to be tried again`);
  parts.push(`${seconds(performance.now() - began)} s, ${seconds(straight.took)} s a rollout`);
  say(`${scenario.name}: ${parts.join(", ")}`);
  return { ...count, late };
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1);
}

/** A rollout that is not killed. Its length may vary by a write or two, as watches come: two are run, and what both have is certain. */
async function straightRun(run: () => Promise<Outcome>): Promise<Outcome> {
  const [first, second] = await Promise.all([run(), run()]);
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
