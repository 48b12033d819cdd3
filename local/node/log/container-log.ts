import {
  appendFileSync,
  closeSync,
  copyFileSync,
  type FSWatcher,
  openSync,
  readSync,
  renameSync,
  statSync,
  truncateSync,
  watch,
} from "node:fs";
import type { Clock } from "../../../lib/clock.ts";
import { type Attempt, logPath } from "../process/attempt-folder.ts";

/** A log and the one before it: 20 MB an attempt at most. */
const maxBytes = 10 * 1024 * 1024;
/** Milliseconds within which writes share a time. */
const grain = 20;

/**
 * Watches the log of one attempt.
 *
 * The process writes the file itself, so that it needs nobody to go on; the runner notes beside it at which time
 * each part was seen (`log.times`: offset and epoch milliseconds a line), and rotates by copy and truncate, which
 * writers in append mode do not notice.
 */
export class ContainerLog {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #watcher: FSWatcher;
  #seen: number;
  #cancel: (() => void) | undefined;

  constructor(attempt: Attempt, clock: Clock) {
    this.#path = logPath(attempt);
    this.#clock = clock;
    this.#seen = sizeOf(this.#path);
    if (this.#seen > 0) this.#note(0, attempt.startedAt);
    this.#watcher = watch(attempt.folder, (_, file) => {
      if (file === "log") this.#written();
    });
    this.#watcher.on("error", () => undefined);
  }

  close(): void {
    this.#cancel?.();
    this.#watcher.close();
  }

  #written(): void {
    if (this.#cancel) return;
    const at = this.#clock.now();
    this.#cancel = this.#clock.after(grain, () => {
      this.#cancel = undefined;
      try {
        this.#look(at);
      } catch {
        // The folder is gone, or the disk is full: the process's own output is not held up by it.
      }
    });
  }

  #look(at: number): void {
    const size = sizeOf(this.#path);
    if (size === this.#seen) return;
    if (size > this.#seen) this.#note(this.#seen, at);
    this.#seen = size;
    if (size > maxBytes) this.#rotate();
  }

  #rotate(): void {
    const before = `${this.#path}.1`;
    copyFileSync(this.#path, before);
    appendRest(this.#path, before);
    truncateSync(this.#path, 0);
    renameSync(timesPath(this.#path), timesPath(before));
    this.#seen = 0;
  }

  #note(offset: number, at: number): void {
    appendFileSync(timesPath(this.#path), `${offset} ${Math.round(at)}\n`);
  }
}

export function timesPath(log: string): string {
  return `${log}.times`;
}

/** What was written while the copy was made. */
function appendRest(from: string, to: string): void {
  const copied = sizeOf(to);
  const rest = Buffer.alloc(sizeOf(from) - copied);
  if (rest.length === 0) return;
  const file = openSync(from, "r");
  try {
    readSync(file, rest, 0, rest.length, copied);
  } finally {
    closeSync(file);
  }
  appendFileSync(to, rest);
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
