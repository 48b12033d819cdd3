import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Milliseconds } from "../../lib/units.ts";
import type { Ended, RecordHead, RecordMode } from "./format.ts";
import { createRecorder, type Recorder } from "./recorder.ts";

/** A run's record while it is written. */
export interface Recording {
  readonly recorder: Recorder;
  /** Writes the end and what is left; with mode `onFailure` the record of a promoted run is deleted. */
  end(ended: Ended, at: number): void;
}

export interface RecordStore {
  /** Begins a record, or goes on with that of an earlier process. */
  open(head: RecordHead, mode: RecordMode, stored: string | undefined): Recording;
  /** Resolves when everything that was ended is kept. */
  close(): Promise<void>;
}

/** Where one record is kept. Methods are called one after the other; what they throw is logged and stops no run. */
export interface Shelf {
  /** Makes whole what an earlier process left of this run; undefined where it left nothing. */
  begin(): Promise<{ readonly head: RecordHead; readonly size: number } | undefined>;
  /** Adds a gzipped part. */
  add(part: Buffer): Promise<void>;
  /** The record is complete: makes room by older ones. */
  finish(): Promise<void>;
  delete(): Promise<void>;
}

/** How shelves are filled. */
export interface Shelves {
  open(head: RecordHead): Shelf;
  /** What waits in memory at most before it is added, in time and in characters. */
  readonly flushEvery: Milliseconds;
  readonly flushAt: number;
  /** A record's size, compressed: beyond it only its end is added. */
  readonly mostBytes: number;
}

const compress = promisify(gzip);

/** Keeps records on `shelves`. What goes wrong there is logged once a run, and never stops a run. */
export function createRecordStore(shelves: Shelves, clock: Clock, logger: Logger): RecordStore {
  const pending = new Set<Promise<void>>();

  return {
    open(head, mode, stored) {
      const shelf = shelves.open(head);
      let begun = head;
      let broken = false;
      let size = 0;
      let full = false;
      let waiting = "";
      let recorder: Recorder | undefined;
      const fail = (error: unknown): void => {
        if (!broken) logger.warn({ err: error, run: head.run }, "this run cannot be recorded");
        broken = true;
      };
      const flush = (): void => {
        const text = waiting;
        waiting = "";
        if (text === "") return;
        queue = queue.then(async () => {
          const packed = await compress(text);
          size += packed.length;
          await shelf.add(packed).then(() => {
            broken = false;
          }, fail);
        });
      };
      const write = (line: string): void => {
        if (full) return;
        full = size > shelves.mostBytes;
        waiting += full ? `${JSON.stringify({ t: Math.round(clock.now() - begun.at), k: "full" })}\n` : line;
        if (waiting.length >= shelves.flushAt) flush();
      };
      const openedAt = clock.now();
      // What happens until it is known how the record begins waits in order.
      let early: ((recorder: Recorder) => void)[] = [];
      const tell = (say: (recorder: Recorder) => void): void => {
        if (recorder === undefined) early.push(say);
        else say(recorder);
      };
      let queue: Promise<void> = shelf
        .begin()
        .catch((error: unknown) => {
          fail(error);
          return undefined;
        })
        .then((found) => {
          if (found !== undefined) begun = found.head;
          size = found?.size ?? 0;
          const ready = createRecorder(begun, write, found && { at: openedAt, stored });
          recorder = ready;
          for (const say of early) say(ready);
          early = [];
        });
      const later = (): void => {
        flush();
        cancel = clock.after(shelves.flushEvery, later);
      };
      let cancel = clock.after(shelves.flushEvery, later);
      return {
        recorder: {
          past: (counters, at) => tell((to) => to.past(counters, at)),
          poll: (counters, at, weight, judgement) => tell((to) => to.poll(counters, at, weight, judgement)),
          weight: (weight, at) => tell((to) => to.weight(weight, at)),
          checks: (checks, at) => tell((to) => to.checks(checks, at)),
          harm: (harm) => tell((to) => to.harm(harm)),
          end: (ended, at) => tell((to) => to.end(ended, at)),
        },
        end(ended, at) {
          cancel();
          tell((to) => {
            full = false;
            size = 0;
            to.end(ended, at);
            flush();
          });
          const done = queue
            // The end was told by now, and its flush stands in the queue.
            .then(() => queue)
            .then(() =>
              mode === "onFailure" && ended.outcome === "promoted" ? shelf.delete() : shelf.finish(),
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
