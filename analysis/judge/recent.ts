import type { Milliseconds } from "../../lib/units.ts";
import type { Recent, RecentPoll, TestPoll } from "./types.ts";

/** One poll that showed nothing of one test. */
export const nothing: TestPoll = { canary: 0, canaryBad: 0, primary: 0, primaryBad: 0, halvesBad: [0, 0] };

export const noRecent: Recent = { polls: [], tests: [], canary: 0, canaryFailed: 0, all: 0 };

/** The last interval with one more poll, without those that are older than it. */
export function addRecent(recent: Recent, poll: RecentPoll, interval: Milliseconds): Recent {
  const oldest = poll.at - interval;
  const from = recent.polls.findIndex(({ at }) => at > oldest);
  const dropped = recent.polls.slice(0, from === -1 ? recent.polls.length : from);
  let sum = plus(recent, poll, 1);
  for (const old of dropped) sum = plus(sum, old, -1);
  const polls = recent.polls.slice(dropped.length);
  polls.push(poll);
  return { ...sum, polls };
}

/** Counts are whole numbers, so that what was added can be taken away again without a trace. */
function plus(
  sum: Omit<Recent, "polls">,
  poll: Omit<RecentPoll, "at">,
  times: 1 | -1,
): Omit<Recent, "polls"> {
  const most = Math.max(sum.tests.length, poll.tests.length);
  const tests: TestPoll[] = [];
  for (let index = 0; index < most; index++) {
    const a = sum.tests[index] ?? nothing;
    const b = poll.tests[index] ?? nothing;
    tests.push({
      canary: a.canary + times * b.canary,
      canaryBad: a.canaryBad + times * b.canaryBad,
      primary: a.primary + times * b.primary,
      primaryBad: a.primaryBad + times * b.primaryBad,
      halvesBad: nothing.halvesBad,
    });
  }
  return {
    tests,
    canary: sum.canary + times * poll.canary,
    canaryFailed: sum.canaryFailed + times * poll.canaryFailed,
    all: sum.all + times * poll.all,
  };
}
