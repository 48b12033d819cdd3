/** What callers' proxies say of shielded requests: the canary's attempts, and the rescues that followed. */
import type { Attempt, Run, Source } from "../../api/signals.ts";
import type { AttemptEntry } from "../../envoy/readers/access-log.ts";
import {
  attemptsCounter,
  attemptsHistogram,
  attemptTags,
  shieldClusterPrefix,
} from "../build/attempt-log.ts";
import { statsPrefix } from "../build/telemetry.ts";
import { hostOfCluster } from "../model/names.ts";
import { attemptOf, isFailure } from "./attempt.ts";

/**
 * A part of what a caller's proxy counts of a shield: the first attempts, or those that followed, at the pods of one
 * workload; or how many failed attempts another followed.
 */
export type ShieldPart =
  | { readonly kind: "first" | "rescue"; readonly workload: string }
  | { readonly kind: "retries" };

/** Host of the canary behind a shield's composite cluster; undefined for other clusters. */
export function hostOfShield(cluster: string): string | undefined {
  return cluster.startsWith(shieldClusterPrefix) ? cluster.split("|")[3] : undefined;
}

/** What the name of a statistic of shields tells; undefined for other statistics. */
export function readShieldStatistic(
  name: string,
): { readonly host: string; readonly part: ShieldPart; readonly answer: Answer } | undefined {
  const [, series, cluster = "", attempt = "", workload = "", code, grpc, flags] = statistic.exec(name) ?? [];
  const host = hostOfShield(cluster);
  if (series === undefined || host === undefined) return undefined;
  const part: ShieldPart = { kind: attempt === "1" ? "first" : "rescue", workload };
  return { host, part, answer: series === attemptsCounter ? answerOf(code, grpc, flags) : "time" };
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
export function shieldedHost({ tags }: AttemptEntry): string | undefined {
  return hostOfShield(tags.get(attemptTags.canary) ?? "");
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
  if (entry.tags.get(attemptTags.attempt) !== "1") return undefined;
  const attempt = attemptOf(entry, "canary", source, at);
  if (attempt === undefined || hostOfCluster(entry.upstreamCluster) !== run.primary.host) return attempt;
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
    if (part.kind === "retries") continue;
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

/** Failed attempts that none followed: their users met the failure. */
export function unanswered(counts: readonly ShieldCounts[]): number {
  let failures = 0;
  for (const { part, requests, failed } of counts) failures += part.kind === "retries" ? -requests : failed;
  return Math.max(0, failures);
}
