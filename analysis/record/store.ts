/** Recorded runs on disk: a folder for each Canary, a gzipped file for each run. The I/O edge of `record/`. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { appendFile, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { constants, gunzipSync, gzip, gzipSync } from "node:zlib";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { type Ended, isHead, type RecordHead, type RecordMode } from "./format.ts";
import { createRecorder, type Recorder } from "./recorder.ts";

/** What waits in memory at most, in time and in characters, before it is appended. */
const flushEvery = 20_000;
const flushAt = 65_536;
/** A record's size, compressed; and the records that are kept, per Canary and together. */
const mostBytes = 4_000_000;
const mostRuns = 20;
const mostBytesInAll = 512_000_000;
const ending = ".ndjson.gz";

/** A run's record while it is written. */
export interface Recording {
  readonly recorder: Recorder;
  /** Writes the end and what is left; with mode `onFailure` the record of a promoted run is deleted. */
  end(ended: Ended, at: number): void;
}

export interface RecordStore {
  /** Begins a record, or goes on with that of an earlier process. */
  open(head: RecordHead, mode: RecordMode, stored: string | undefined): Recording;
  /** Resolves when everything that was ended is on disk. */
  close(): Promise<void>;
}

/** One record on disk. */
export interface StoredRecord {
  readonly namespace: string;
  readonly canary: string;
  readonly run: string;
  readonly path: string;
  /** Bytes on disk. */
  readonly size: number;
  /** When it was written last, epoch milliseconds. */
  readonly at: number;
}

/** Keeps records under `folder`. What goes wrong on disk is logged once a run, and never stops a run. */
export function createRecordStore(folder: string, clock: Clock, logger: Logger): RecordStore {
  const compress = promisify(gzip);
  const pending = new Set<Promise<void>>();

  return {
    open(head, mode, stored) {
      const path = join(folder, plain(head.namespace), plain(head.canary), `${plain(head.run)}${ending}`);
      let begun: RecordHead | undefined;
      let broken = false;
      let size = 0;
      const guarded = (act: () => void): void => {
        try {
          act();
        } catch (error) {
          fail(error);
        }
      };
      const fail = (error: unknown): void => {
        if (!broken) logger.warn({ err: error, run: head.run }, "this run cannot be recorded");
        broken = true;
      };
      guarded(() => {
        mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
        begun = existsSync(path) ? mend(path) : undefined;
      });

      let waiting = "";
      let queue = Promise.resolve();
      let full = false;
      const flush = (): void => {
        const text = waiting;
        waiting = "";
        if (text === "" || broken) return;
        queue = queue.then(async () => {
          try {
            const packed = await compress(text);
            size += packed.length;
            await appendFile(path, packed, { mode: 0o600 });
          } catch (error) {
            fail(error);
          }
        });
      };
      const write = (line: string): void => {
        waiting += line;
        if (waiting.length >= flushAt) flush();
      };
      const later = (): void => {
        flush();
        cancel = clock.after(flushEvery, later);
      };
      let cancel = clock.after(flushEvery, later);
      const now = clock.now();
      const recorder = createRecorder(
        begun ?? head,
        (line) => {
          if (full) return;
          full = size > mostBytes;
          write(
            full
              ? `${JSON.stringify({ t: Math.round(clock.now() - (begun ?? head).at), k: "full" })}\n`
              : line,
          );
        },
        begun && { at: now, stored },
      );
      return {
        recorder,
        end(ended, at) {
          cancel();
          full = false;
          size = 0;
          recorder.end(ended, at);
          flush();
          const done = queue
            .then(() =>
              mode === "onFailure" && ended.outcome === "promoted"
                ? rm(path, { force: true })
                : prune(folder),
            )
            .catch((error: unknown) => logger.warn({ err: error }, "old records could not be deleted"))
            .finally(() => pending.delete(done));
          pending.add(done);
        },
      };
    },
    async close() {
      await Promise.all(pending);
    },
  };
}

/** Kubernetes' names hold nothing that leads elsewhere; anything else is made so. */
function plain(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9._-]/g, "_").replace(/^\.+/, "_");
}

/** Makes a record whole again whose last part was cut off, and gives its head; undefined where it has none. */
function mend(path: string): RecordHead | undefined {
  const text = readRecordFile(path);
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  let head: unknown;
  try {
    head = JSON.parse(whole.slice(0, whole.indexOf("\n")));
  } catch {
    head = undefined;
  }
  const found = isHead(head) ? head : undefined;
  writeFileSync(path, found === undefined ? "" : gzipSync(whole), { mode: 0o600 });
  return found;
}

/** The text of a record or any other file, unpacked where it is gzipped; without what a crash cut off. */
export function readRecordFile(path: string): string {
  const bytes = readFileSync(path);
  const gzipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  return (gzipped ? gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }) : bytes).toString("utf8");
}

/** All records under `folder`, the newest first; none where there is no such folder. */
export async function listRecords(folder: string): Promise<readonly StoredRecord[]> {
  const found = await readdir(folder, { recursive: true }).catch(() => []);
  const records = await Promise.all(
    found.flatMap((path) => {
      const [namespace, canary, file, ...deeper] = path.split("/");
      if (namespace === undefined || canary === undefined || file === undefined || deeper.length > 0)
        return [];
      if (!file.endsWith(ending)) return [];
      const whole = join(folder, path);
      const run = file.slice(0, -ending.length);
      return stat(whole).then(
        ({ size, mtimeMs }): StoredRecord[] => [{ namespace, canary, run, path: whole, size, at: mtimeMs }],
        () => [],
      );
    }),
  );
  return records.flat().toSorted((a, b) => b.at - a.at);
}

/** Deletes the oldest records of each Canary beyond {@link mostRuns}, and of all beyond {@link mostBytesInAll}. */
async function prune(folder: string): Promise<void> {
  const runs = new Map<string, number>();
  let bytes = 0;
  for (const { namespace, canary, size, path } of await listRecords(folder)) {
    const key = `${namespace}/${canary}`;
    const count = (runs.get(key) ?? 0) + 1;
    runs.set(key, count);
    bytes += size;
    if (count > mostRuns || bytes > mostBytesInAll) await rm(path, { force: true });
  }
}
