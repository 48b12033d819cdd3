import { once } from "node:events";
import { closeSync, openSync, readFileSync, readSync, statSync, watch } from "node:fs";
import { type Attempt, logPath, readExit } from "../process/attempt-folder.ts";
import { shimRuns } from "../process/session.ts";
import { timesPath } from "./container-log.ts";
import { type LogPart, linesOf, parseTimes, printLines } from "./lines.ts";

/** As `pods/log` takes them. */
export interface LogOptions {
  readonly follow?: boolean;
  /** Only the last lines. */
  readonly tailLines?: number;
  /** RFC 3339 before each line: when the runner saw it. */
  readonly timestamps?: boolean;
  /** Only lines of the last seconds. */
  readonly sinceSeconds?: number;
  /** Only lines from then on, RFC 3339. */
  readonly sinceTime?: string;
  /** Ends after so many bytes. */
  readonly limitBytes?: number;
  readonly signal?: AbortSignal;
}

/** The log of one attempt, rotated part first; with `follow` until the container has ended. */
export async function* readLog(attempt: Attempt, options: LogOptions): AsyncGenerator<Buffer> {
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  for await (const part of readParts(attempt, options)) {
    yield part.subarray(0, Math.min(left, part.length));
    left -= part.length;
    if (left <= 0) return;
  }
}

async function* readParts(attempt: Attempt, options: LogOptions): AsyncGenerator<Buffer> {
  const { follow = false, tailLines, timestamps = false, signal } = options;
  const path = logPath(attempt);
  const current = readPart(path);
  const since = sinceOf(options);
  const lines = [...linesOf(readPart(`${path}.1`)), ...linesOf(current)].filter(({ at }) => at >= since);
  const wanted = tailLines === undefined ? lines : lines.slice(Math.max(0, lines.length - tailLines));
  if (wanted.length > 0) yield printLines(wanted, timestamps);
  if (follow) yield* followLog(attempt, current.content.length, timestamps, signal);
}

/** Epoch milliseconds; 0 where all lines are asked for. */
function sinceOf({ sinceSeconds, sinceTime }: LogOptions): number {
  if (sinceSeconds !== undefined) return Date.now() - sinceSeconds * 1000;
  return (sinceTime && Date.parse(sinceTime)) || 0;
}

async function* followLog(
  attempt: Attempt,
  from: number,
  timestamps: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  const path = logPath(attempt);
  const watcher = watch(attempt.folder);
  const stop = () => watcher.close();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    let offset = from;
    while (!signal?.aborted) {
      // Looked at before reading, so that nothing written before the end is missed.
      const ended = readExit(attempt) !== undefined || !shimRuns(attempt);
      const { size } = statSync(path, { throwIfNoEntry: false }) ?? { size: 0 };
      if (size < offset) offset = 0;
      if (size > offset) {
        const fresh = readRange(path, offset, size);
        const whole = fresh.lastIndexOf(10) + 1;
        if (whole > 0) {
          offset += whole;
          const content = fresh.subarray(0, whole);
          yield printLines(linesOf({ content, times: [{ offset: 0, at: Date.now() }] }), timestamps);
          continue;
        }
      }
      if (ended) return;
      await once(watcher, "change", {
        signal: AbortSignal.any([AbortSignal.timeout(5000), ...(signal ? [signal] : [])]),
      }).catch(() => undefined);
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    watcher.close();
  }
}

function readPart(path: string): LogPart {
  return { content: readOrEmpty(path), times: parseTimes(readOrEmpty(timesPath(path)).toString("latin1")) };
}

function readOrEmpty(path: string): Buffer {
  return statSync(path, { throwIfNoEntry: false }) ? readFileSync(path) : Buffer.alloc(0);
}

function readRange(path: string, from: number, to: number): Buffer {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(to - from);
    const read = readSync(file, buffer, 0, buffer.length, from);
    return buffer.subarray(0, read);
  } finally {
    closeSync(file);
  }
}
