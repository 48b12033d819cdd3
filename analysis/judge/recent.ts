import type { Milliseconds } from "../../lib/units.ts";
import type { Recent, RecentPoll, RecentSum, TestPoll } from "./types.ts";

/** One poll that showed nothing of one test. */
export const nothing: TestPoll = { canary: 0, canaryBad: 0, primary: 0, primaryBad: 0, halvesBad: [0, 0] };

export const noRecent: Recent = { polls: [], tests: [], canary: 0, canaryFailed: 0, all: 0 };

/** The last interval with one more poll, without those that are older than it. */
export function addRecent(recent: Recent, poll: RecentPoll, interval: Milliseconds): Recent {
  const oldest = poll.at - interval;
  const from = recent.polls.findIndex(({ at }) => at > oldest);
  const dropped = from === -1 ? recent.polls.length : from;
  const sum = mutable(recent);
  add(sum, poll, 1);
  for (let index = 0; index < dropped; index++) add(sum, recent.polls[index] ?? noRecent, -1);
  const polls = recent.polls.slice(dropped);
  polls.push(poll);
  return { ...sum, polls };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Sum extends Mutable<Omit<RecentSum, "tests">> {
  readonly tests: Mutable<TestPoll>[];
}

function mutable({ tests, canary, canaryFailed, all }: RecentSum): Sum {
  return { tests: tests.map((test) => ({ ...test })), canary, canaryFailed, all };
}

/** Counts are whole numbers, so that what was added can be taken away again without a trace. */
function add(sum: Sum, poll: RecentSum, times: 1 | -1): void {
  for (let index = 0; index < poll.tests.length; index++) {
    const more = poll.tests[index] ?? nothing;
    const test = sum.tests[index] ?? { ...nothing };
    sum.tests[index] = test;
    test.canary += times * more.canary;
    test.canaryBad += times * more.canaryBad;
    test.primary += times * more.primary;
    test.primaryBad += times * more.primaryBad;
  }
  sum.canary += times * poll.canary;
  sum.canaryFailed += times * poll.canaryFailed;
  sum.all += times * poll.all;
}
