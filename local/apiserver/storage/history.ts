import type { ApiObject } from "../object.ts";
import type { Entry } from "./entry.ts";

export type ChangeType = "ADDED" | "MODIFIED" | "DELETED";

/** One committed change of one resource. */
export class Change {
  readonly type: ChangeType;
  readonly resource: string;
  /** The object after the change, or its last state. */
  readonly entry: Entry;
  readonly #before: Entry | undefined;

  /** @param before the entry that was replaced or removed; undefined for ADDED */
  constructor(type: ChangeType, resource: string, entry: Entry, before: Entry | undefined) {
    this.type = type;
    this.resource = resource;
    this.entry = entry;
    this.#before = before;
  }

  get revision(): number {
    return this.entry.revision;
  }

  get object(): ApiObject {
    return this.entry.object;
  }

  /** The entry that was replaced or removed; undefined for ADDED. */
  get replaced(): Entry | undefined {
    return this.#before;
  }

  /** What it was before; undefined for ADDED. */
  get before(): ApiObject | undefined {
    return this.#before?.object;
  }
}

interface Shared {
  readonly change: Change;
  readonly bytes: Map<string, Buffer>;
}

const most = 4096;
const mostBytes = 16_777_216;

/**
 * The last changes of one resource, for watches that resume or fall behind.
 *
 * Positions count up for ever; `start` is the oldest that is still held.
 */
export class History {
  #changes: Change[] = [];
  #start = 0;
  #bytes = 0;
  /** The newest revision that has been dropped: a watch from before it cannot be served. */
  #droppedRevision: number;
  readonly #wake = new Set<() => void>();
  #shared: Shared | undefined;

  constructor(revision: number) {
    this.#droppedRevision = revision;
  }

  /** One past the newest position. */
  get end(): number {
    return this.#start + this.#changes.length;
  }

  push(change: Change): void {
    this.#changes.push(change);
    this.#bytes += change.entry.json.length;
    // Dropped in blocks, so that a push stays cheap.
    if (this.#changes.length > most * 1.25 || this.#bytes > mostBytes * 1.25) this.#drop();
  }

  #drop(): void {
    let count = Math.max(0, this.#changes.length - most);
    let bytes = this.#bytes;
    for (let index = 0; index < count; index++) bytes -= this.#changes[index]?.entry.json.length ?? 0;
    while (bytes > mostBytes && count < this.#changes.length)
      bytes -= this.#changes[count++]?.entry.json.length ?? 0;
    const last = this.#changes[count - 1];
    if (last !== undefined) this.#droppedRevision = last.revision;
    this.#changes = this.#changes.slice(count);
    this.#start += count;
    this.#bytes = bytes;
  }

  /** Calls every watcher; a watcher reads what it has not seen yet. */
  notify(): void {
    for (const wake of this.#wake) wake();
  }

  onPush(wake: () => void): () => void {
    this.#wake.add(wake);
    return () => this.#wake.delete(wake);
  }

  /** The change at `position`; `"gone"` where it has been dropped, undefined where it is still to come. */
  read(position: number): Change | "gone" | undefined {
    return position < this.#start ? "gone" : this.#changes[position - this.#start];
  }

  /**
   * The bytes of `change` in the form called `form`, made once for all watchers of that form. Only the last change's are
   * kept: watchers that are up to date read it one after the other.
   */
  bytesOf(change: Change, form: string, encode: () => Buffer): Buffer {
    if (this.#shared?.change !== change) this.#shared = { change, bytes: new Map() };
    const { bytes } = this.#shared;
    const known = bytes.get(form);
    if (known !== undefined) return known;
    const made = encode();
    bytes.set(form, made);
    return made;
  }

  /** Every change after `revision`, oldest first; undefined where some have been dropped. */
  since(revision: number): readonly Change[] | undefined {
    const position = this.after(revision);
    return position === undefined ? undefined : this.#changes.slice(position - this.#start);
  }

  /** The position of the first change after `revision`; undefined where changes after it have been dropped. */
  after(revision: number): number | undefined {
    if (revision < this.#droppedRevision) return undefined;
    let low = 0;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle]?.revision ?? 0) > revision) high = middle;
      else low = middle + 1;
    }
    return this.#start + low;
  }
}
