import { type Arm, type Attempt, primarySample, type Run, type Source } from "../../api/signals.ts";
import { failedGrpcStatuses, noAnswerFlags } from "../build/attempt-log.ts";
import type { AttemptEntry } from "./attempt-entry.ts";

const noAnswer: ReadonlySet<string> = new Set(noAnswerFlags);
/** The client's own cancel, and what the mesh itself refused or injected: says nothing about the version. */
const notTheVersion: ReadonlySet<string> = new Set(["DC", "DR", "RL", "UAEX", "RLSE", "FI"]);
const failedGrpc: ReadonlySet<number> = new Set(failedGrpcStatuses);

/** Whether an answer counts against the version that gave it. The same rule for attempts and for counters. */
export function isFailure(status: number, grpcStatus: number | undefined, flags: readonly string[]): boolean {
  if (status >= 500) return true;
  if (grpcStatus !== undefined && failedGrpc.has(grpcStatus)) return true;
  return flags.some((flag) => noAnswer.has(flag));
}

/** Which version a host stands for in a run. */
export function armOfHost(run: Run, host: string): Arm | undefined {
  if (host === run.canary.host) return "canary";
  if (host === run.primary.host) return "primary";
  return undefined;
}

/**
 * The attempt that an entry of the log of attempts tells of; undefined where it counts for neither side.
 *
 * @param at when it ended, epoch milliseconds by our clock
 */
export function attemptOf(entry: AttemptEntry, arm: Arm, source: Source, at: number): Attempt | undefined {
  if (entry.flags.some((flag) => notTheVersion.has(flag))) return undefined;
  // Envoy has no flag for an attempt whose client gave up before any answer.
  if (entry.status === 0 && entry.flags.length === 0) return undefined;
  const failed = isFailure(entry.status, entry.grpcStatus, entry.flags);
  const attempt: Attempt = {
    kind: "attempt",
    source,
    arm,
    at,
    failed,
    status: entry.status,
    flags: entry.flags,
    connection: `${source.proxy}/${entry.downstream}`,
  };
  return arm === "primary" && !failed ? { ...attempt, times: primarySample } : attempt;
}
