import type { Milliseconds, Percent } from "../../lib/units.ts";
import type { Harm } from "../analyst.ts";
import type { Check } from "../checks/types.ts";
import { comparable } from "../judge/difference.ts";
import { pollOf, shortestPoll } from "../judge/observe.ts";
import type { Counters, Judgement } from "../judge/types.ts";
import { type Ended, pollRow, type RecordHead, type Row } from "./format.ts";

/** Writes down what a run's judge is told, in the order in which it is told. Times are epoch milliseconds. */
export interface Recorder {
  /** Counters that the judge learnt from, of before the run; cumulative. */
  past(counters: Counters, at: number): void;
  /** Counters at a poll, cumulative, with what the judge answered. */
  poll(counters: Counters, at: number, weight: Percent, judgement: Judgement | undefined): void;
  weight(weight: Percent, at: number): void;
  checks(checks: readonly Check[], at: number): void;
  harm(harm: Harm): void;
  end(ended: Ended, at: number): void;
}

/** Gives each row to `write` as a line with its end. `resumed`: this file has been begun by an earlier process. */
export function createRecorder(
  head: RecordHead,
  write: (line: string) => void,
  resumed: { readonly at: number; readonly stored: string | undefined } | undefined,
): Recorder {
  const put = (line: RecordHead | Row): void => write(`${JSON.stringify(line)}\n`);
  const since = (at: number): Milliseconds => Number((at - head.at).toFixed(3));
  let learnt: Counters | undefined;
  let last: Counters | undefined;
  let polledAt = Number.NEGATIVE_INFINITY;
  if (resumed === undefined) put(head);
  else
    put({
      t: since(resumed.at),
      k: "resumed",
      ...(resumed.stored === undefined ? {} : { stored: resumed.stored }),
    });

  return {
    past(counters, at) {
      if (at - polledAt < shortestPoll) return;
      polledAt = at;
      put(pollRow(since(at), pollOf(learnt, counters), 0, undefined));
      learnt = comparable(learnt, counters);
    },
    poll(counters, at, weight, judgement) {
      // The judge puts such a poll off too.
      if (at - polledAt < shortestPoll) return;
      polledAt = at;
      put(pollRow(since(at), pollOf(last, counters), weight, judgement));
      last = comparable(last, counters);
    },
    weight: (weight, at) => put({ t: since(at), k: "weight", weight }),
    checks: (checks, at) => put({ t: since(at), k: "checks", checks }),
    harm: ({ by, reason, at, attempts }) =>
      put({
        t: since(at),
        ...{ k: "harm", by, reason },
        ...(attempts && {
          attempts: attempts.map(({ at: ended, arm, failed, connection, times }) => [
            since(ended),
            arm === "canary" ? 1 : 0,
            failed ? 1 : 0,
            connection,
            times ?? 1,
          ]),
        }),
      }),
    end: (ended, at) => put({ t: since(at), k: "end", ...ended }),
  };
}
