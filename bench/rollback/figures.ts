import type { RequestLine } from "../../cli/demo/record.ts";

/** One fault of one version, as the load client saw it. */
export interface Harm {
  /** First failed answer after the fault to the version's last answer, milliseconds. */
  readonly faultToZeroMs: number;
  /** Requests that failed between the two. */
  readonly harmed: number;
}

const isFailed = ({ status }: RequestLine): boolean => status < 200 || status >= 400;

/**
 * What a fault did to users, by the client's record.
 *
 * @param lines the requests from before the fault until well after the version had no traffic any more
 * @param faultAt epoch milliseconds
 * @returns undefined where no request failed after the fault, or `version` answered none
 */
export function harmOf(lines: readonly RequestLine[], version: string, faultAt: number): Harm | undefined {
  const failed = lines.filter((line) => isFailed(line) && line.end >= faultAt);
  const answers = lines.filter((line) => line.version === version);
  if (failed.length === 0 || answers.length === 0) return undefined;
  const first = Math.min(...failed.map(({ end }) => end));
  const last = Math.max(...answers.map(({ end }) => end));
  return { faultToZeroMs: Math.max(0, last - first), harmed: failed.length };
}

/** Requests that failed although no fault was on: before `faultAt`, or begun after the version's last answer. */
export function unexplained(lines: readonly RequestLine[], version: string, faultAt: number): number {
  const last = Math.max(0, ...lines.filter((line) => line.version === version).map(({ end }) => end));
  return lines.filter((line) => isFailed(line) && (line.end < faultAt || line.start > last)).length;
}

/** The value below which `share` (0-1) of all lie; of an even number's middle, the mean of both. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
