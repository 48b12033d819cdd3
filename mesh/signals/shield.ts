/** What callers' proxies say of shielded requests: the canary's attempts, and the rescues that followed. */
import type { Attempt, Run, Source } from "../../api/signals.ts";
import { attemptsCounter, attemptsHistogram, shieldClusterPrefix } from "../build/attempt-log.ts";
import { statsPrefix } from "../build/telemetry.ts";
import { attemptOf, isFailure } from "./attempt.ts";
import type { AttemptEntry } from "./attempt-entry.ts";

/**
 * A part of what a caller's proxy counts of a shield: the first attempts, or those that followed, at the pods of one
 * workload; or how many failed attempts another followed (`retries`), and how many none can have followed (`lost`).
 */
export type ShieldPart =
  | { readonly kind: "first" | "rescue"; readonly workload: string }
  | { readonly kind: "retries" | "lost" };

/** Host of the canary behind a shield's composite cluster; undefined for other clusters. */
export function hostOfShield(cluster: string): string | undefined {
  return cluster.startsWith(shieldClusterPrefix) ? cluster.split("|")[3] : undefined;
}

/** What the name of a statistic of shields tells; undefined for other statistics. */
export function readShieldStatistic(name: string): ShieldStatistic | undefined {
  const [, series, cluster = "", attempt = "", workload = "", code, grpc, flags] = statistic.exec(name) ?? [];
  const host = hostOfShield(cluster);
  if (series === undefined || host === undefined) return undefined;
  const part: ShieldPart = { kind: attempt === "1" ? "first" : "rescue", workload };
  if (series !== attemptsCounter) return { host, part, answer: "time", isLast: false };
  const answer = answerOf(code, grpc, flags);
  const isLast = answer === "failed" && (attempt !== "1" || hasBegun(code, grpc, flags));
  return { host, part, answer, isLast };
}

interface ShieldStatistic {
  /** The canary's. */
  readonly host: string;
  readonly part: ShieldPart;
  readonly answer: Answer;
  /** Whether it counts failures that no attempt follows: of a rescue, and of an answer that the user has begun to get. */
  readonly isLast: boolean;
}

/** Statuses of gRPC that Envoy tries again, where the answer holds no more. */
const retriedStatuses: ReadonlySet<string> = new Set(["4", "8", "13", "14"]);

/** Whether headers of a failed attempt have gone on to the user, or its gRPC status is one that is not tried again. */
function hasBegun(code = "", grpc = "", flags = ""): boolean {
  const status = Number(code);
  if (status === 0 || status >= 500) return false;
  return isFailure(status, undefined, flags.split(",")) || !retriedStatuses.has(grpc);
}

/** How an attempt ended: a client that gives up tells nothing of the version. `time`: the statistic tells how long. */
type Answer = "succeeded" | "failed" | "given up" | "time";

function answerOf(code = "", grpc = "", flags = ""): Answer {
  const of = flags === "-" || flags === "" ? [] : flags.split(",");
  if (isFailure(Number(code), grpc === "" ? undefined : Number(grpc), of)) return "failed";
  return code === "0" ? "given up" : "succeeded";
}

/** Tags and their values in the order of `mesh/build/attempt-log.ts`. */
const statistic = new RegExp(
  `^${statsPrefix}\\.(${attemptsCounter}|${attemptsHistogram})` +
    "\\.shield\\.(.+)\\.attempt\\.(\\d+)\\.destination_workload\\.(.+)\\.destination_workload_namespace\\.[^.]+" +
    "(?:\\.response_code\\.(\\d+)\\.grpc_response_status\\.(\\d*)\\.response_flags\\.([A-Za-z0-9,-]*))?$",
);

/** Host of the canary whose shield the route of an attempt has; undefined where it has none. */
export function shieldedHost({ canaryCluster }: AttemptEntry): string | undefined {
  return hostOfShield(canaryCluster);
}

/**
 * The attempt that an entry of a shield's route tells of; undefined for a rescue, which counts for neither side.
 *
 * Where the canary has no pod to ask, the first attempt is the primary's: a failure of the canary.
 */
export function shieldedAttemptOf(
  entry: AttemptEntry,
  run: Run,
  source: Source,
  at: number,
): Attempt | undefined {
  if (entry.attempt !== 1) return undefined;
  const attempt = attemptOf(entry, "canary", source, at);
  if (attempt === undefined || !isUnreached(run, entry.workload)) return attempt;
  return { ...attempt, failed: true, status: 0, flags: ["UH"] };
}

function isUnreached({ primary, canary }: Run, workload: string): boolean {
  return workload !== "" && workload === primary.workload && workload !== canary.workload;
}

/** Cumulative counts of one part at one proxy. */
export interface ShieldCounts {
  readonly part: ShieldPart;
  readonly requests: number;
  readonly failed: number;
  readonly buckets: readonly number[];
}

/** What shielded requests add to the canary's counts. */
export interface ShieldTotals {
  requests: number;
  failed: number;
  readonly buckets: number[];
  /** Failed attempts whose users the primary answered. */
  rescued: number;
}

/** Sums a shield's parts for a run; undefined where there are none. */
export function sumShield(run: Run, counts: readonly ShieldCounts[]): ShieldTotals | undefined {
  if (counts.length === 0) return undefined;
  const sum: ShieldTotals = { requests: 0, failed: 0, buckets: [], rescued: 0 };
  for (const { part, requests, failed, buckets } of counts) {
    if (part.kind === "retries" || part.kind === "lost") continue;
    const unreached = part.kind === "first" && isUnreached(run, part.workload);
    if (unreached || part.kind === "rescue") sum.rescued += requests - failed;
    if (part.kind === "rescue") continue;
    sum.requests += requests;
    sum.failed += unreached ? requests : failed;
    if (!unreached)
      for (const [bucket, count] of buckets.entries())
        sum.buckets[bucket] = (sum.buckets[bucket] ?? 0) + count;
  }
  return sum;
}

/** What a proxy has told of a shield's failures since it is known here, and how many of them are known to have met users. */
export interface Losses {
  readonly failures: number;
  readonly retries: number;
  /** Told to be the last of their requests. */
  readonly last: number;
  readonly lost: number;
}

/** How much one part has grown since the report before. */
export interface ShieldGrowth {
  readonly part: ShieldPart;
  readonly requests: number;
  readonly failed: number;
}

/**
 * The losses after a report. A proxy does not read all its counters at one moment: failures that it had told of a report
 * ago and of which no retry is known now were met by users, whatever their answers looked like.
 */
export function lossesAfter(before: Losses | undefined, growth: readonly ShieldGrowth[]): Losses {
  const told = before ?? { failures: 0, retries: 0, last: 0, lost: 0 };
  let { failures, retries, last } = told;
  for (const { part, requests, failed } of growth) {
    if (part.kind === "retries") retries += requests;
    else if (part.kind === "lost") last += requests;
    else failures += failed;
  }
  return { failures, retries, last, lost: Math.max(told.lost, last, told.failures - retries) };
}
