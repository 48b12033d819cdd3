import type { Fraction, Milliseconds, Percent } from "../../lib/units.ts";
import { histogramQuantile } from "../checks/quantile.ts";
import type { Counts } from "../judge/types.ts";
import { type PollRow, pollCounters, type RunRecord } from "../record/format.ts";
import { exposedAt } from "../record/replay.ts";

/** Columns of a picture at most, and how much of the primary's past is shown. */
const mostBins = 160;
const shownPast: Milliseconds = 30_000;

/** What an arm answered in a part of the run; undefined where it got no requests. */
export interface ArmView {
  readonly requests: number;
  readonly success: Fraction;
  /** Milliseconds; undefined where latencies are not known. */
  readonly p50: number | undefined;
  readonly p99: number | undefined;
}

/** A part of the run, as wide as all others. */
export interface Bin {
  /** Seconds from the first weight to its begin and end. */
  readonly from: number;
  readonly to: number;
  readonly canary: ArmView | undefined;
  readonly primary: ArmView | undefined;
  /** As the judge said last in it; undefined where it said nothing. */
  readonly evidence: Evidence | undefined;
}

export interface Evidence {
  readonly harm: number;
  readonly rollbackAt: number;
  readonly safe: number;
  readonly promoteAt: number;
  /** The gravest verdict in it. */
  readonly verdict: "none" | "amber" | "rollback";
}

/** A run as pictures show it. Times are seconds since the first weight. */
export interface RunView {
  readonly bins: readonly Bin[];
  readonly from: number;
  readonly to: number;
  /** Changes of the weight. */
  readonly weights: readonly { readonly t: number; readonly weight: Percent }[];
}

/** Sums a record's polls into at most 160 parts of equal width, from shortly before the first weight to its end. */
export function viewRun(record: RunRecord): RunView {
  const { rows, head } = record;
  const began = exposedAt(record) ?? 0;
  const end = Math.max(began + 1000, ...rows.map(({ t }) => t));
  const polls = rows.filter((row): row is PollRow => row.k === "poll" && row.t > began - shownPast);
  const start = Math.min(began, ...polls.map(({ t }) => t - 1000));
  const width = Math.max(1000, Math.ceil((end - start) / mostBins / 1000) * 1000);
  const groups = new Map<number, PollRow[]>();
  for (const poll of polls) {
    const number = Math.max(0, Math.ceil((poll.t - start) / width) - 1);
    const group = groups.get(number);
    if (group === undefined) groups.set(number, [poll]);
    else group.push(poll);
  }
  const seconds = (t: number): number => (t - began) / 1000;
  return {
    from: seconds(start),
    to: seconds(end),
    bins: [...groups]
      .toSorted(([a], [b]) => a - b)
      .map(([number, group]) => ({
        from: seconds(start + number * width),
        to: Math.min(seconds(start + (number + 1) * width), seconds(end)),
        canary: viewArm(group, head.bounds, "canary"),
        primary: viewArm(group, head.bounds, "primary"),
        evidence: viewEvidence(group),
      })),
    weights: rows.flatMap((row) => (row.k === "weight" ? [{ t: seconds(row.t), weight: row.weight }] : [])),
  };
}

function viewArm(
  polls: readonly PollRow[],
  bounds: readonly number[],
  arm: "canary" | "primary",
): ArmView | undefined {
  const sum = { requests: 0, failed: 0, buckets: [...bounds, 0].map(() => 0) };
  for (const poll of polls) {
    const counts: Counts = pollCounters(poll, bounds)[arm];
    sum.requests += counts.requests;
    sum.failed += counts.failed;
    counts.buckets.forEach((count, bucket) => {
      sum.buckets[bucket] = (sum.buckets[bucket] ?? 0) + count;
    });
  }
  if (sum.requests === 0) return undefined;
  const quantile = (q: number): number | undefined => {
    const value = histogramQuantile(q, sum.buckets, bounds);
    return Number.isNaN(value) ? undefined : value;
  };
  return {
    requests: sum.requests,
    success: 1 - sum.failed / sum.requests,
    p50: quantile(0.5),
    p99: quantile(0.99),
  };
}

function viewEvidence(polls: readonly PollRow[]): Evidence | undefined {
  const last = polls.findLast(({ e }) => e !== undefined)?.e;
  if (last === undefined) return undefined;
  const [, harm, rollbackAt, safe, promoteAt] = last;
  const verdict =
    polls.find((poll) => poll.verdict === "rollback")?.verdict ??
    polls.find((poll) => poll.verdict === "amber")?.verdict ??
    "none";
  return { harm, rollbackAt, safe, promoteAt, verdict };
}
