import { type PollRow, RecordError, type RunRecord } from "../record/format.ts";
import type { Traffic } from "./forecast.ts";

/** The traffic that a recorded run saw: its requests per second, and the share that failed on the primary. @throws {RecordError} where it saw none */
export function readTraffic({ rows }: RunRecord): Traffic {
  const polls = rows.filter((row): row is PollRow => row.k === "poll");
  const [first, last] = [polls[0], polls.at(-1)];
  const sum = (of: (row: PollRow) => number | undefined): number =>
    polls.reduce((all, row) => all + (of(row) ?? 0), 0);
  const primary = sum(({ p }) => p[0]);
  const all = primary + sum(({ c }) => c[0]);
  if (first === undefined || last === undefined || all === 0)
    throw new RecordError("this run saw no requests");
  const failed = sum(({ p }) => p[1]);
  // Half a failure more, as a run without one does not show that there are none.
  return {
    rate: (all * 1000) / Math.max(last.t - first.t + 1000, 1000),
    base: (failed + 0.5) / (primary + 1),
  };
}
