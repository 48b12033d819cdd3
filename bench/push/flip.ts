/** What changes and what is asked while many Envoys are watched: whole weights, so that one answer tells the version. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Asker } from "../asker.ts";

/** Between two requests to one Envoy, milliseconds: what the figures are true to. */
const pause = 10;
const settle = 500;

/**
 * Changes the weight `rounds` times between 0 and 100 and asks every Envoy all the while.
 *
 * @returns milliseconds from the change until the last Envoy answered with the other version, a round each
 * @throws where an Envoy still answers with the former version 30 s after a change
 */
export async function flipAll(
  askers: readonly Asker[],
  {
    rounds,
    change,
  }: {
    readonly rounds: number;
    readonly change: (canaryWeight: 0 | 100) => Promise<void>;
  },
): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const canary = round % 2 === 0;
    const wanted = canary ? "canary" : "primary";
    const from = performance.now();
    const watched = askers.map(async (asker, index) => {
      await sleep((index * pause) / askers.length);
      return seen(asker, wanted, from + 30_000);
    });
    const changed = change(canary ? 100 : 0);
    const ats = await Promise.all(watched);
    await changed;
    times.push(Math.max(...ats) - from);
    await sleep(settle);
  }
  return times;
}

/** When the first answer of `wanted` came. */
async function seen({ ask }: Asker, wanted: string, until: number): Promise<number> {
  for (;;) {
    const answer = await ask().catch(String);
    const now = performance.now();
    if (answer === wanted) return now;
    if (now > until)
      throw new Error(`an Envoy still answers \`${answer.slice(0, 80)}\` instead of ${wanted}`);
    await sleep(pause);
  }
}
