import type { KillPoint } from "./killing-client.ts";
import type { Outcome } from "./rollout.ts";
import { interval, type Scenario } from "./scenarios.ts";

/** What one rollout shows of one crash point. */
export interface PointVerdict {
  /** What broke, in words; empty where nothing did. */
  readonly wrong: readonly string[];
  /** How it ended later than is allowed, or not at all; undefined where it ended in time. */
  readonly late: string | undefined;
  /** False where the rollout ended before it came to its point: it has had fewer writes. */
  readonly reached: boolean;
  /** e.g. `weights, killed after write 17 (patch VirtualService shop)`. */
  readonly words: string;
}

/** How much later a rollout may end that was killed once, milliseconds. */
const allowed = 2 * interval + 5000;

/** Runs a rollout that is killed at `point`, and holds it against one that was not killed. */
export async function tryPoint(
  scenario: Scenario,
  point: KillPoint,
  straight: Outcome,
  run: (scenario: Scenario, kill: KillPoint) => Promise<Outcome>,
): Promise<PointVerdict> {
  const words = `${scenario.name}, killed ${point.when} write ${point.write}`;
  try {
    const { remains, broken, took, killed, writes } = await run(scenario, point);
    const differs =
      remains === straight.remains ? [] : [`ended with ${remains} instead of ${straight.remains}`];
    const late = Math.round(took - straight.took - allowed);
    return {
      wrong: [...broken, ...differs],
      late: late > 0 ? `ended ${late} ms too late` : undefined,
      reached: killed,
      words: killed ? `${words} (${writes[point.write]})` : words,
    };
  } catch (error) {
    // On a machine that has no time for it a rollout does not end in time, and a server may not even answer.
    return { wrong: [], late: error instanceof Error ? error.message : String(error), reached: true, words };
  }
}
