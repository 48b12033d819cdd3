/** Recorded runs on disk: a folder for each Canary, a gzipped file for each run. An I/O edge of `record/`. */
import { existsSync, readFileSync } from "node:fs";
import { appendFile, mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { constants, gunzipSync, gzipSync } from "node:zlib";
import { isHead, type RecordHead } from "./format.ts";
import type { Shelves } from "./recording.ts";

/** A record's size, compressed; and the records that are kept, per Canary and together. */
const mostBytes = 4_000_000;
const mostRuns = 20;
const mostBytesInAll = 512_000_000;
const ending = ".ndjson.gz";

/** One record that is kept. */
export interface StoredRecord {
  readonly namespace: string;
  readonly canary: string;
  readonly run: string;
  /** Where: a file, or a ConfigMap. */
  readonly path: string;
  /** Bytes, compressed. */
  readonly size: number;
  /** When it was written last, epoch milliseconds. */
  readonly at: number;
}

/** Records as files under `folder`. */
export function folderShelves(folder: string): Shelves {
  return {
    ...{ flushEvery: 20_000, flushAt: 65_536, mostBytes },
    open(head) {
      const of = join(folder, plain(head.namespace), plain(head.canary));
      const path = join(of, `${plain(head.run)}${ending}`);
      let broken = false;
      return {
        async begin() {
          await mkdir(of, { recursive: true, mode: 0o700 });
          if (!existsSync(path)) return undefined;
          const whole = mendRecord(readRecordFile(path));
          const packed = whole === undefined ? "" : gzipSync(whole.text);
          await writeFile(path, packed, { mode: 0o600 });
          return whole && { head: whole.head, size: packed.length };
        },
        async add(part) {
          // A part that was cut off ends what can be read: nothing more is added behind it.
          if (broken) return;
          broken = true;
          await appendFile(path, part, { mode: 0o600 });
          broken = false;
        },
        finish: () => prune(folder),
        delete: () => rm(path, { force: true }),
      };
    },
  };
}

/** Kubernetes' names hold nothing that leads elsewhere; anything else is made so. */
function plain(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9._-]/g, "_").replace(/^\.+/, "_");
}

/** A record without a last line that was cut off, and its head; undefined where it has none. */
export function mendRecord(text: string): { readonly head: RecordHead; readonly text: string } | undefined {
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  try {
    const head: unknown = JSON.parse(whole.slice(0, whole.indexOf("\n")));
    return isHead(head) ? { head, text: whole } : undefined;
  } catch {
    return undefined;
  }
}

/** The text of a record or any other file, unpacked where it is gzipped; without what a crash cut off. */
export function readRecordFile(path: string): string {
  return unpackRecord(readFileSync(path));
}

/** The text of gzipped or plain bytes, without what a crash cut off. */
export function unpackRecord(bytes: Buffer): string {
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
