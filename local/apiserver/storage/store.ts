/**
 * Every object, in memory, with one global counter as resourceVersion; the journal makes it durable.
 *
 * A change is visible to reads at once, so that optimistic locking is decided in order; it is
 * acknowledged, and shown to watches, once it is on disk.
 */
import { isObject } from "../json.ts";
import { type ApiObject, isApiObject } from "../object.ts";
import { type Entry, entryOf, keyOf } from "./entry.ts";
import { Change, History } from "./history.ts";
import { Journal } from "./journal.ts";

export type { Entry } from "./entry.ts";

/** What the caller believes is stored: `absent` to create, a resourceVersion to replace or remove. */
export type Expected = "absent" | { readonly resourceVersion: string };

/** Thrown where the belief was wrong; `found` is what is stored. */
export class StaleError extends Error {
  override readonly name = "StaleError";
  readonly found: ApiObject | undefined;
  constructor(found: ApiObject | undefined) {
    super("the stored object is another one");
    this.found = found;
  }
}

interface Collection {
  readonly entries: Map<string, Entry>;
  /** Keys in list order; undefined when it must be sorted again. */
  order: string[] | undefined;
}

// After a start the counter jumps, so that a version given out before the crash is never given out again.
const restartGap = 1000;

export class Store {
  readonly #collections = new Map<string, Collection>();
  readonly #histories = new Map<string, History>();
  readonly #listeners = new Set<(change: Change) => void>();
  #journal: Journal | undefined;
  #revision = 0;
  #startRevision = 0;

  /** Opens the store in `directory`, with everything that was acknowledged before. */
  static async open(directory: string): Promise<Store> {
    const store = new Store();
    store.#journal = await Journal.open(
      directory,
      (line) => store.#replay(line),
      () => store.#lines(),
    );
    if (store.#revision > 0) store.#revision += restartGap;
    else store.#revision = 1;
    store.#startRevision = store.#revision;
    return store;
  }

  /** The newest revision. */
  get revision(): number {
    return this.#revision;
  }

  get(resource: string, namespace: string | undefined, name: string): Entry | undefined {
    return this.#collections.get(resource)?.entries.get(keyOf(namespace, name));
  }

  /** All of a resource, or of one namespace, ordered by namespace, then name. */
  list(resource: string, namespace?: string): Entry[] {
    const collection = this.#collections.get(resource);
    if (collection === undefined) return [];
    collection.order ??= [...collection.entries.keys()].sort();
    const prefix = namespace === undefined ? "" : `${namespace}/`;
    const found: Entry[] = [];
    for (const key of collection.order) {
      if (!key.startsWith(prefix)) continue;
      const entry = collection.entries.get(key);
      if (entry !== undefined) found.push(entry);
    }
    return found;
  }

  /** The names of resources that have or had objects. */
  resources(): string[] {
    return [...this.#collections.keys()];
  }

  /** Creates or replaces; sets the resourceVersion. Throws {@link StaleError} at once; resolves when it is on disk. */
  async put(resource: string, object: ApiObject, expected: Expected): Promise<Entry> {
    const collection = this.#collection(resource);
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    const before = this.#check(collection, key, expected);
    object.metadata.resourceVersion = String(++this.#revision);
    const entry = entryOf(object);
    if (!collection.entries.has(key)) collection.order = undefined;
    collection.entries.set(key, entry);
    try {
      await this.#append(`{"resource":${JSON.stringify(resource)},"object":${entry.json}}`);
    } catch (error) {
      this.#undo(collection, key, entry, before);
      throw error;
    }
    this.#publish(new Change(before === undefined ? "ADDED" : "MODIFIED", resource, entry, before));
    return entry;
  }

  /** Removes an object; resolves with its last state when that is on disk. */
  async remove(resource: string, object: ApiObject, expected: Expected): Promise<ApiObject> {
    const collection = this.#collection(resource);
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    const before = this.#check(collection, key, expected);
    const revision = ++this.#revision;
    collection.entries.delete(key);
    collection.order = undefined;
    const last: ApiObject = {
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(revision) },
    };
    const removed = { namespace: object.metadata.namespace, name: object.metadata.name };
    try {
      await this.#append(JSON.stringify({ resource, removed, revision }));
    } catch (error) {
      this.#undo(collection, key, undefined, before);
      throw error;
    }
    this.#publish(new Change("DELETED", resource, entryOf(last), before));
    return last;
  }

  /** Called for every change, in order, after it is on disk and before its request is answered. */
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The changes of a resource, for watches. */
  history(resource: string): History {
    const found = this.#histories.get(resource);
    if (found !== undefined) return found;
    const made = new History(this.#startRevision);
    this.#histories.set(resource, made);
    return made;
  }

  async close(): Promise<void> {
    await this.#journal?.close();
  }

  #collection(resource: string): Collection {
    const found = this.#collections.get(resource);
    if (found !== undefined) return found;
    const made: Collection = { entries: new Map(), order: undefined };
    this.#collections.set(resource, made);
    return made;
  }

  #check(collection: Collection, key: string, expected: Expected): Entry | undefined {
    const found = collection.entries.get(key);
    const right =
      expected === "absent"
        ? found === undefined
        : found !== undefined && String(found.revision) === expected.resourceVersion;
    if (!right) throw new StaleError(found?.object);
    return found;
  }

  /** Takes back a change that the disk refused, unless a later one stands on it. */
  #undo(collection: Collection, key: string, now: Entry | undefined, before: Entry | undefined): void {
    if (collection.entries.get(key) !== now) return;
    if (before === undefined) collection.entries.delete(key);
    else collection.entries.set(key, before);
    collection.order = undefined;
  }

  #append(line: string): Promise<void> {
    return this.#journal?.append(line) ?? Promise.resolve();
  }

  #publish(change: Change): void {
    const history = this.history(change.resource);
    history.push(change);
    for (const listener of this.#listeners) listener(change);
    history.notify();
  }

  #replay(line: string): void {
    const record: unknown = JSON.parse(line);
    if (!isObject(record)) throw new Error("not a record");
    if (typeof record.revision === "number") this.#revision = Math.max(this.#revision, record.revision);
    if (typeof record.resource !== "string") return;
    const { entries } = this.#collection(record.resource);
    if (isApiObject(record.object)) {
      const entry = entryOf(record.object);
      entries.set(entry.key, entry);
      this.#revision = Math.max(this.#revision, entry.revision);
    } else if (isObject(record.removed)) {
      const { namespace, name } = record.removed;
      entries.delete(keyOf(typeof namespace === "string" ? namespace : undefined, String(name)));
    }
  }

  *#lines(): Generator<string> {
    yield JSON.stringify({ revision: this.#revision });
    for (const [resource, { entries }] of this.#collections) {
      for (const { json } of entries.values())
        yield `{"resource":${JSON.stringify(resource)},"object":${json}}`;
    }
  }
}
