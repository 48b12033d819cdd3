/** A recorded run: NDJSON, a head and then a row for each thing that happened, in order. Counts are what came since the row before. */

import type { Check } from "../checks/types.ts";
import type { JudgeBase } from "../judge/settings.ts";
import type {
  AdvanceSettings,
  Counters,
  Counts,
  Judgement,
  JudgeSettings,
  SeriesGrowth,
} from "../judge/types.ts";
import type { Rescues } from "../series/ledger.ts";

/** When a Canary's runs are recorded: each, those that were not promoted, none. */
export type RecordMode = "always" | "onFailure" | "never";

export interface RecordHead {
  readonly v: 1;
  readonly kind: "run";
  readonly run: string;
  readonly namespace: string;
  /** Name of the Canary, and its UID. */
  readonly canary: string;
  readonly canaryUid?: string;
  readonly revision: string;
  /** When the run was first watched, epoch milliseconds: rows count from here. */
  readonly at: number;
  /** Upper bounds of the latency buckets, milliseconds. */
  readonly bounds: readonly number[];
  /** Pace, weights and the author's thresholds, for the rules of others. */
  readonly base: Omit<JudgeBase, "bounds">;
  /** null where nothing but checks decided. */
  readonly judge: JudgeSettings | null;
  readonly advance: AdvanceSettings;
}

/** How a run ended: `open` where the control plane stopped first. */
export interface Ended {
  readonly outcome: "promoted" | "rolled back" | "superseded" | "open";
  readonly message?: string;
  /** Behind a shield: users of the canary's failed attempts. */
  readonly rescues?: Rescues;
}

interface RowBase {
  /** Milliseconds since the head's `at`; negative: before. */
  readonly t: number;
}

/** One poll: what both arms answered since the one before, and what the judge made of it. */
export interface PollRow extends RowBase {
  readonly k: "poll";
  /** Requests, failed, then pairs of bucket and count. */
  readonly c: readonly number[];
  readonly p: readonly number[];
  /** The primary's halves; absent where they cannot be told apart. */
  readonly h?: readonly [readonly number[], readonly number[]];
  /** Latencies of this poll are incomplete. */
  readonly gap?: true;
  /** What metric providers told. */
  readonly s?: readonly SeriesGrowth[];
  /** Weight, harm, rollbackAt, safe, promoteAt; absent before the run and where nothing is judged. */
  readonly e?: readonly [number, number, number, number, number];
  readonly verdict?: "amber" | "rollback";
}

/** A roll-back verdict between two ticks. */
interface HarmRow extends RowBase {
  readonly k: "harm";
  readonly by: string;
  readonly reason: string;
  /** What the trip wire saw, in the order of time. */
  readonly attempts?: readonly PackedAttempt[];
}

/** Milliseconds since the head's `at`; 1: at the canary; 1: failed; connection; how many it stands for. */
type PackedAttempt = readonly [t: number, canary: 0 | 1, failed: 0 | 1, connection: string, times: number];

export type Row =
  | PollRow
  | (RowBase & { readonly k: "weight"; readonly weight: number })
  | (RowBase & { readonly k: "checks"; readonly checks: readonly Check[] })
  | HarmRow
  /** The control plane was started again, with this state of the judge. */
  | (RowBase & { readonly k: "resumed"; readonly stored?: string })
  /** The record is as large as one may be: nothing more was written but the end. */
  | (RowBase & { readonly k: "full" })
  | (RowBase & { readonly k: "end" } & Ended);

/** A whole record. */
export interface RunRecord {
  readonly head: RecordHead;
  readonly rows: readonly Row[];
}

/** A file that is no record. */
export class RecordError extends Error {
  override readonly name = "RecordError";
}

/** The row of one poll; `counters` are what came since the poll before. */
export function pollRow(
  t: number,
  counters: Counters,
  weight: number,
  judgement: Judgement | undefined,
): PollRow {
  const { halves, latencyKnown, series } = counters;
  return {
    t,
    k: "poll",
    c: packCounts(counters.canary),
    p: packCounts(counters.primary),
    ...(halves && { h: [packCounts(halves[0]), packCounts(halves[1])] }),
    ...(latencyKnown ? {} : { gap: true }),
    ...(series && series.length > 0 && { s: series }),
    ...(judgement && {
      e: [
        weight,
        short(judgement.harm),
        short(judgement.rollbackAt),
        short(judgement.safe),
        short(judgement.promoteAt),
      ],
    }),
    ...(judgement && judgement.verdict !== "none" && { verdict: judgement.verdict }),
  };
}

/** What came in one recorded poll, as counters that begin at 0. */
export function pollCounters({ c, p, h, gap, s }: PollRow, bounds: readonly number[]): Counters {
  return {
    canary: unpackCounts(c, bounds.length + 1),
    primary: unpackCounts(p, bounds.length + 1),
    halves: h && [unpackCounts(h[0], bounds.length + 1), unpackCounts(h[1], bounds.length + 1)],
    latencyKnown: gap !== true,
    ...(s && { series: s }),
  };
}

function packCounts({ requests, failed, buckets }: Counts): number[] {
  return [requests, failed, ...buckets.flatMap((count, bucket) => (count === 0 ? [] : [bucket, count]))];
}

function unpackCounts([requests = 0, failed = 0, ...pairs]: readonly number[], length: number): Counts {
  const buckets = Array.from({ length }, () => 0);
  for (let index = 0; index + 1 < pairs.length; index += 2) {
    const bucket = pairs[index] ?? 0;
    if (bucket < length) buckets[bucket] = pairs[index + 1] ?? 0;
  }
  return { requests, failed, buckets };
}

const short = (nats: number): number => (Number.isFinite(nats) ? Number(nats.toFixed(6)) : 0);

/** Reads a record. A last line that was cut off is left out. @throws {RecordError} naming the line that is none */
export function readRecord(text: string): RunRecord {
  const lines = text.split("\n");
  const whole = text.endsWith("\n") ? lines : lines.slice(0, -1);
  const [first, ...rest] = whole.filter((line) => line !== "");
  if (first === undefined) throw new RecordError("the record is empty");
  const head: unknown = parseLine(first, 1);
  if (!isHead(head))
    throw new RecordError("line 1 is no head of a recorded run: it needs `v` 1 and `kind` run");
  return {
    head,
    rows: rest.map((line, index) => {
      const row: unknown = parseLine(line, index + 2);
      if (!isRow(row)) throw new RecordError(`line ${index + 2} is no row of a recorded run`);
      return row;
    }),
  };
}

function parseLine(line: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new RecordError(`line ${number} is not json`, { cause });
  }
}

/** Whether the first line of a file is the head of a recorded run (and not, say, of a trace). */
export function isHead(value: unknown): value is RecordHead {
  if (typeof value !== "object" || value === null) return false;
  const { v, kind, run, at, bounds } = value as Partial<Record<keyof RecordHead, unknown>>;
  return (
    v === 1 &&
    kind === "run" &&
    typeof run === "string" &&
    Number.isFinite(at) &&
    Array.isArray(bounds) &&
    bounds.every((bound) => typeof bound === "number")
  );
}

const kinds: readonly unknown[] = ["poll", "weight", "checks", "harm", "resumed", "full", "end"];

function isRow(value: unknown): value is Row {
  if (typeof value !== "object" || value === null) return false;
  const { k, t, c, p, h, attempts, checks } = value as Partial<
    Record<keyof PollRow | "attempts" | "checks", unknown>
  >;
  if (!kinds.includes(k) || !Number.isFinite(t)) return false;
  if (k === "checks" && !Array.isArray(checks)) return false;
  if (attempts !== undefined && !(Array.isArray(attempts) && attempts.every(isAttempt))) return false;
  const counts = (list: unknown): boolean =>
    Array.isArray(list) && list.every((count) => Number.isFinite(count) && count >= 0);
  return (
    k !== "poll" || (counts(c) && counts(p) && (h === undefined || (Array.isArray(h) && h.every(counts))))
  );
}

function isAttempt(value: unknown): value is PackedAttempt {
  if (!Array.isArray(value)) return false;
  const [t, canary, failed, connection, times] = value as readonly unknown[];
  return (
    [t, canary, failed, times].every((number) => Number.isFinite(number)) && typeof connection === "string"
  );
}
