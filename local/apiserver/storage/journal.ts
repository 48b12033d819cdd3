/**
 * The API server's disk: a snapshot and an append-only journal of JSON lines.
 *
 * A write is acknowledged once it is fsynced; writes that arrive while one fsync runs share the next
 * one (group commit). After a crash the last line may be torn: it was never acknowledged and is cut.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

interface Waiting {
  readonly text: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Lines are opaque to the journal. `compact` gives the lines of a new snapshot when the journal has grown too long. */
export class Journal {
  readonly #directory: string;
  readonly #compact: () => Iterable<string>;
  #file: FileHandle;
  #sequence: number;
  #position: number;
  #snapshotBytes: number;
  #waiting: Waiting[] = [];
  #flushing: Promise<void> | undefined;
  #compacting: Promise<void> | undefined;

  private constructor(
    directory: string,
    compact: () => Iterable<string>,
    file: FileHandle,
    sequence: number,
    position: number,
    snapshotBytes: number,
  ) {
    this.#directory = directory;
    this.#compact = compact;
    this.#file = file;
    this.#sequence = sequence;
    this.#position = position;
    this.#snapshotBytes = snapshotBytes;
  }

  /** Reads what is stored, calling `replay` for each line in order, and opens the journal for appending. */
  static async open(
    directory: string,
    replay: (line: string) => void,
    compact: () => Iterable<string>,
  ): Promise<Journal> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const files = await readdir(directory);
    const snapshots = sequencesOf(files, "snapshot");
    const journals = sequencesOf(files, "journal");
    const snapshot = snapshots.at(-1) ?? 0;
    let snapshotBytes = 0;
    if (snapshot > 0)
      snapshotBytes = await replayFile(join(directory, `snapshot-${snapshot}`), replay, false);
    let position = 0;
    const sequence = journals.at(-1) ?? snapshot;
    for (const number of journals.filter((number) => number >= snapshot)) {
      position = await replayFile(join(directory, `journal-${number}`), replay, true);
    }
    const file = await open(
      join(directory, `journal-${sequence}`),
      journals.length === 0 ? "w" : "r+",
      0o600,
    );
    await file.truncate(position);
    await syncDirectory(directory);
    return new Journal(directory, compact, file, sequence, position, snapshotBytes);
  }

  /** Resolves once `line` is on disk. Rejects where the disk refuses it: nothing was stored then. */
  append(line: string): Promise<void> {
    const written = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ text: line, resolve, reject });
    });
    this.#flushing ??= this.#flush();
    return written;
  }

  /** Waits for what is under way and closes the file. */
  async close(): Promise<void> {
    await this.#flushing;
    await this.#compacting;
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    // One turn of the event loop gathers the writes of requests that arrived together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      const data = Buffer.from(batch.map(({ text }) => `${text}\n`).join(""));
      try {
        // At an explicit position, so that half a write that failed is overwritten by the next.
        await this.#file.write(data, 0, data.length, this.#position);
        await this.#file.datasync();
        this.#position += data.length;
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error instanceof Error ? error : new Error(String(error)));
      }
      if (this.#position > 8_388_608 && this.#position > 2 * this.#snapshotBytes) {
        // Where the disk has no room for a new file, the old one grows on.
        await this.#startCompaction().catch(() => undefined);
      }
    }
    this.#flushing = undefined;
  }

  /**
   * Goes on in a new journal file and writes the snapshot beside it. Until the snapshot has its name,
   * a start reads the old snapshot and both journals.
   */
  async #startCompaction(): Promise<void> {
    if (this.#compacting !== undefined) return;
    const sequence = this.#sequence + 1;
    const lines = [...this.#compact()];
    const next = await open(join(this.#directory, `journal-${sequence}`), "w", 0o600);
    const previous = this.#file;
    this.#file = next;
    this.#sequence = sequence;
    this.#position = 0;
    await previous.close();
    await syncDirectory(this.#directory);
    this.#compacting = this.#writeSnapshot(sequence, lines).then(
      () => {
        this.#compacting = undefined;
      },
      () => {
        // The old snapshot and the journals still hold everything; the next growth tries again.
        this.#compacting = undefined;
      },
    );
  }

  async #writeSnapshot(sequence: number, lines: readonly string[]): Promise<void> {
    const data = `${lines.join("\n")}\n`;
    const path = join(this.#directory, `snapshot-${sequence}`);
    await writeFile(`${path}.new`, data, { mode: 0o600, flush: true });
    await rename(`${path}.new`, path);
    await syncDirectory(this.#directory);
    this.#snapshotBytes = Buffer.byteLength(data);
    for (const file of await readdir(this.#directory)) {
      const number = Number(/^(?:snapshot|journal)-(\d+)$/.exec(file)?.[1] ?? Number.NaN);
      if (number < sequence) await rm(join(this.#directory, file), { force: true });
    }
  }
}

function sequencesOf(files: readonly string[], kind: string): number[] {
  return files
    .flatMap((file) => {
      const match = /^(snapshot|journal)-(\d+)$/.exec(file);
      return match?.[1] === kind ? [Number(match[2])] : [];
    })
    .toSorted((left, right) => left - right);
}

/** Replays a file and returns the length of its whole lines in bytes. */
async function replayFile(path: string, replay: (line: string) => void, mayBeTorn: boolean): Promise<number> {
  const data = await readFile(path);
  let start = 0;
  while (start < data.length) {
    const end = data.indexOf(10, start);
    if (end < 0) {
      if (mayBeTorn) return start;
      throw new Error(`${path} is cut off: restore it, or start with an empty data directory`);
    }
    const line = data.toString("utf8", start, end);
    try {
      replay(line);
    } catch (error) {
      // A torn write may also leave zeros or half a batch before its last line end: only the tail may be bad.
      if (mayBeTorn && !wholeLineAfter(data, end + 1)) return start;
      throw new Error(
        `${path} is damaged at byte ${start}: restore it, or start with an empty data directory`,
        {
          cause: error,
        },
      );
    }
    start = end + 1;
  }
  return start;
}

function wholeLineAfter(data: Buffer, from: number): boolean {
  const end = data.indexOf(10, from);
  if (end < 0) return false;
  try {
    JSON.parse(data.toString("utf8", from, end));
    return true;
  } catch {
    return false;
  }
}

/** Makes names of new files durable. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
