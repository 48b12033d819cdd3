/** The load client's own record, and the figures that follow from it: anybody can compute them again from the file. */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

/** One request. Times in epoch milliseconds with fractions. */
export interface RequestLine {
  readonly start: number;
  readonly end: number;
  /** 0 where no answer came. */
  readonly status: number;
  readonly version: string | null;
}

export interface Figures {
  readonly requests: number;
  readonly byVersion: Readonly<Record<string, number>>;
  readonly failed: number;
  /** Failed requests that ended before the fault was switched on, or were answered by another version than the faulty one. */
  readonly failedBeforeFault: number;
  /** Failed answers of the faulty version. */
  readonly canaryErrors: number;
  /** First failed answer after the fault (behind a shield: first failed attempt) to the last one at the faulty version. */
  readonly faultToZeroWeightSeconds: number | undefined;
  /** Failed requests that ended from the fault on until the faulty version was asked no more. */
  readonly failedWhileAtFault: number;
  /** Requests that the faulty version itself failed, by its own record; behind a shield alone. */
  readonly failedAttempts?: number;
  /** Failed requests that began after the faulty version's last answer. */
  readonly failedAfterRollback: number;
}

const isFailed = ({ status }: RequestLine): boolean => status < 200 || status >= 400;

/** Whole lines of a record; the last one may still be being written. */
export function parseRecord(text: string): RequestLine[] {
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .filter((line) => line !== "")
    .map((line): RequestLine => JSON.parse(line));
}

/** @throws where the file is not there */
export const readRecord = (file: string): RequestLine[] => parseRecord(readFileSync(file, "utf8"));

/**
 * Figures of a record. `faultAt` in epoch milliseconds, undefined where there was no fault; `faulty` is the version with
 * the switch, `attempts` (behind a shield) are the times at which it failed a request, by its own record.
 */
export function figuresOf(
  lines: readonly RequestLine[],
  faulty: string,
  faultAt: number | undefined,
  attempts?: readonly number[],
): Figures {
  const byVersion: Record<string, number> = {};
  for (const { version } of lines) byVersion[version ?? "none"] = (byVersion[version ?? "none"] ?? 0) + 1;
  const failed = lines.filter(isFailed);
  const since = failed.filter(({ end }) => faultAt !== undefined && end >= faultAt);
  const failures = attempts ?? since.map(({ end }) => end);
  const first = failures.length > 0 ? Math.min(...failures) : undefined;
  const last = lines.reduce(
    (latest, line) => (line.version === faulty ? Math.max(latest, line.end) : latest),
    Math.max(0, ...(attempts ?? [])),
  );
  return {
    requests: lines.length,
    byVersion,
    failed: failed.length,
    failedBeforeFault: failed.filter(
      ({ end, version }) =>
        faultAt === undefined || end < faultAt || (version !== faulty && version !== null),
    ).length,
    canaryErrors: since.filter(({ version }) => version === faulty).length,
    faultToZeroWeightSeconds:
      first === undefined || last === 0 ? undefined : Math.max(0, last - first) / 1000,
    failedWhileAtFault: since.filter(({ start }) => start <= last).length,
    ...(attempts && { failedAttempts: attempts.length }),
    failedAfterRollback: first === undefined ? 0 : failed.filter(({ start }) => start > last).length,
  };
}

/** Follows a growing record without reading it again from its start. */
export class RecordTail {
  private position = 0;
  private rest = "";
  private readonly file: string;
  readonly counts = { requests: 0, failed: 0 };
  readonly byVersion = new Map<string, number>();

  constructor(file: string) {
    this.file = file;
  }

  /** Takes in what was added since the last call; returns those lines. */
  read(): RequestLine[] {
    let descriptor: number;
    try {
      descriptor = openSync(this.file, "r");
    } catch {
      return [];
    }
    const chunk = Buffer.alloc(1 << 20);
    const length = readSync(descriptor, chunk, 0, chunk.length, this.position);
    closeSync(descriptor);
    this.position += length;
    const text = this.rest + chunk.toString("utf8", 0, length);
    this.rest = text.slice(text.lastIndexOf("\n") + 1);
    const lines = parseRecord(text);
    for (const line of lines) {
      this.counts.requests += 1;
      if (isFailed(line)) this.counts.failed += 1;
      const version = line.version ?? "none";
      this.byVersion.set(version, (this.byVersion.get(version) ?? 0) + 1);
    }
    return lines;
  }
}
