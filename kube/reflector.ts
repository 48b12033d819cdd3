import type { Kind, KubeObject } from "../api/resource.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { createBackoff } from "./backoff.ts";
import type { Change, Client } from "./contract.ts";
import { isExpired, isNotFound } from "./error.ts";
import { pause } from "./pause.ts";
import { compareVersions, later } from "./resource-version.ts";
import { type StringPool, shareEqual } from "./share.ts";
import { type KindObjects, noObjects, objectKey, objectsOf, withObject, withoutObject } from "./snapshot.ts";
import { getKey, valuesOf } from "./sorted-map.ts";
import { type WatchEvent, watch } from "./watch.ts";

/** Milliseconds. A watch is ended by the server after `watch` to `watch + spread`, and given up when it is `grace` later. */
export interface WatchTiming {
  readonly watch: number;
  readonly spread: number;
  readonly grace: number;
  /** Back-off after failures. */
  readonly retry: number;
  readonly maxRetry: number;
}

/** Short watches: a resume costs one request, and a silently dead stream is found within 27 s. */
export const defaultTiming: WatchTiming = {
  watch: 20_000,
  spread: 4_000,
  grace: 3_000,
  retry: 200,
  maxRetry: 15_000,
};

export interface Reflector {
  /** Resolves when the first list is in `objects`, or after `close`. */
  readonly synced: Promise<void>;
  objects(): KindObjects;
  close(): void;
}

interface Surroundings {
  readonly client: Client;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly timing: WatchTiming;
  /** Of all kinds, which have most of their strings in common. */
  readonly strings: StringPool;
  /** Only objects with these labels; all where absent. */
  readonly labelSelector?: string | undefined;
  /** After `objects` holds the changes; all of a list at once. */
  readonly changed: (changes: readonly Change[]) => void;
  /** Any word from the server. */
  readonly heard: () => void;
}

/**
 * Keeps the objects of one kind as the server has them: lists, watches from there, resumes where the watch ended.
 *
 * Only 410 (as an answer or within the stream) makes it list again. A kind that the server does not know (a CRD that is
 * not installed yet) counts as empty and is asked for again with back-off.
 */
export function startReflector(
  kind: Kind,
  { client, logger, clock, timing, strings, labelSelector, changed, heard }: Surroundings,
): Reflector {
  const selected = labelSelector === undefined ? {} : { labelSelector };
  let objects: KindObjects = noObjects;
  let resourceVersion: string | undefined;
  const { promise: synced, resolve: resolveSynced } = Promise.withResolvers<void>();
  const closed = new AbortController();
  const backoff = createBackoff(timing.retry, timing.maxRetry);

  const stored = ({ metadata }: KubeObject) =>
    getKey(objects.objects, objectKey(metadata.namespace, metadata.name));

  /** As it is kept: what is equal in the object as it stands, and strings that others have too, are there once. */
  function kept(object: KubeObject): KubeObject {
    const before = stored(object);
    const after = lean(object);
    if (before !== undefined) return shareEqual(before, after, strings);
    strings.share(after);
    return after;
  }

  function replaceAll(items: readonly KubeObject[]): void {
    const before = objects;
    objects = objectsOf(items.map(kept));
    changed(difference(before, objects));
  }

  async function list(): Promise<void> {
    try {
      const answer = await client.list(kind, selected);
      if (closed.signal.aborted) return;
      heard();
      resourceVersion = answer.resourceVersion;
      replaceAll(answer.items);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      heard();
      replaceAll([]);
      resolveSynced();
      throw error;
    }
    resolveSynced();
  }

  function apply(event: WatchEvent): void {
    if (event.type === "BOOKMARK") {
      resourceVersion = later(event.resourceVersion, resourceVersion);
      return;
    }
    const object = kept(event.object);
    const version = object.metadata.resourceVersion;
    const before = stored(object);
    // A watch tells each change once and in order; what comes again must not bring a deleted object back.
    const known = event.type === "DELETED" ? before?.metadata.resourceVersion : resourceVersion;
    const order = compareVersions(version, known);
    if (event.type === "DELETED" ? order < 0 : order <= 0) return;
    resourceVersion = later(version, resourceVersion);
    if (event.type === "DELETED") {
      if (before === undefined) return;
      objects = withoutObject(objects, before);
      changed([{ kind: "deleted", object }]);
      return;
    }
    objects = withObject(objects, object);
    changed([before === undefined ? { kind: "added", object } : { kind: "modified", object, before }]);
  }

  /** One watch, until the server ends it or is silent for too long. */
  async function follow(from: string): Promise<void> {
    const started = clock.monotonic();
    const length = timing.watch + Math.random() * timing.spread;
    const stalled = new AbortController();
    const cancel = clock.after(length + timing.grace, () => stalled.abort());
    const signal = AbortSignal.any([closed.signal, stalled.signal]);
    const timeoutSeconds = Math.max(1, Math.round(length / 1000));
    try {
      for await (const event of watch(
        client,
        kind,
        { ...selected, resourceVersion: from, timeoutSeconds },
        signal,
      )) {
        heard();
        backoff.reset();
        apply(event);
      }
      heard();
    } catch (error) {
      if (!stalled.signal.aborted) throw error;
      logger.debug({ kind: kind.kind }, "watch stalled, resuming");
    } finally {
      cancel();
    }
    // A server that ends each watch at once must not be asked in a tight loop.
    if (clock.monotonic() - started < timing.retry) await pause(clock, backoff.next(), closed.signal);
    else backoff.reset();
  }

  async function run(): Promise<void> {
    while (!closed.signal.aborted) {
      try {
        if (resourceVersion === undefined) await list();
        else await follow(resourceVersion);
      } catch (error) {
        if (closed.signal.aborted) return;
        if (isExpired(error)) resourceVersion = undefined;
        report(error);
        await pause(clock, backoff.next(), closed.signal);
      }
    }
  }

  function report(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    const usual = isExpired(error) || isNotFound(error);
    logger[usual ? "debug" : "warn"]({ kind: kind.kind }, `watch: ${text}`);
  }

  void run();
  return {
    synced,
    objects: () => objects,
    close() {
      closed.abort();
      resolveSynced();
    },
  };
}

/**
 * Without what no reader needs and what is often the larger half of an object. A server that gets none in an update
 * keeps the ones it has.
 */
function lean(object: KubeObject): KubeObject {
  const { managedFields, ...metadata } = object.metadata;
  return managedFields === undefined ? object : { ...object, metadata };
}

/** What turns `before` into `after`. A name that now belongs to another uid was deleted and added. */
function difference(before: KindObjects, after: KindObjects): readonly Change[] {
  const changes: Change[] = [];
  const keyOf = ({ metadata }: KubeObject) => objectKey(metadata.namespace, metadata.name);
  for (const object of valuesOf(before.objects)) {
    const now = getKey(after.objects, keyOf(object));
    if (now?.metadata.uid !== object.metadata.uid || now === undefined)
      changes.push({ kind: "deleted", object });
  }
  for (const object of valuesOf(after.objects)) {
    const old = getKey(before.objects, keyOf(object));
    if (old === undefined || old.metadata.uid !== object.metadata.uid)
      changes.push({ kind: "added", object });
    else if (old.metadata.resourceVersion !== object.metadata.resourceVersion)
      changes.push({ kind: "modified", object, before: old });
  }
  return changes;
}
