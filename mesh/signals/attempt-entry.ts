import type { LogRecord } from "../../envoy/readers/otlp-logs.ts";
import { attemptSeparator } from "../build/attempt-log.ts";

/** What a proxy tells of one attempt. */
export interface AttemptEntry {
  /** `host:port` of the downstream connection. */
  readonly downstream: string;
  /** Epoch milliseconds by the proxy's clock when the attempt ended. */
  readonly end: number;
  readonly upstreamCluster: string;
  /** Whose pod was asked; empty where that is not known. */
  readonly workload: string;
  /** The cluster that its route calls the canary's; empty where it calls none so. */
  readonly canaryCluster: string;
  /** Short names as Envoy prints them, e.g. `UF`. */
  readonly flags: readonly string[];
  /** 0 where no response came. */
  readonly status: number;
  /** Of its trailers, or else of its headers; undefined where neither has one. */
  readonly grpcStatus: number | undefined;
  /** 1: the first of its request. */
  readonly attempt: number;
}

/** Envoy's word for what is not there. */
const absent = "-";
const noFlags: readonly string[] = [];

/**
 * Reads one entry of the log of attempts.
 *
 * @throws RangeError where its text has not the parts of `mesh/build/attempt-log.ts`
 */
export function readAttempt({ at, text }: LogRecord): AttemptEntry {
  const [
    downstream,
    duration,
    upstreamCluster,
    workload,
    canaryCluster,
    flags,
    status,
    attempt,
    trailer,
    header,
  ] = text.split(attemptSeparator);
  if (
    downstream === undefined ||
    upstreamCluster === undefined ||
    workload === undefined ||
    canaryCluster === undefined ||
    flags === undefined ||
    header === undefined
  )
    throw new RangeError("attempts: an entry has not all its parts");
  return {
    downstream,
    end: at + numberOf(duration, 0),
    upstreamCluster,
    workload: workload === absent ? "" : workload,
    canaryCluster: canaryCluster === absent ? "" : canaryCluster,
    flags: flags === absent ? noFlags : flags.split(","),
    status: numberOf(status, 0),
    grpcStatus: grpcStatusOf(trailer) ?? grpcStatusOf(header),
    attempt: numberOf(attempt, 1),
  };
}

function numberOf(text: string | undefined, otherwise: number): number {
  if (text === undefined || text === absent) return otherwise;
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0)
    throw new RangeError(`attempts: ${JSON.stringify(text)} is no count`);
  return number;
}

/** What the application says: anything. */
function grpcStatusOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,2}$/.test(text) ? Number(text) : undefined;
}
