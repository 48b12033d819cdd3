import { createHash } from "node:crypto";
import { type Event, EventKind } from "../api/core.ts";
import type { KubeObject } from "../api/resource.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { createBackoff } from "./backoff.ts";
import type { Client, Recorder } from "./contract.ts";
import { isNotFound, isTransient } from "./error.ts";
import { pause } from "./pause.ts";

/** Events waiting to be written; beyond it the oldest are dropped. */
const maxPending = 1_000;
/** Events remembered, so that a repeat raises a count. */
const maxKnown = 4_096;
/** How often a write is tried while the server is away. */
const maxTries = 8;
/** etcd's limit is far away, readers' patience is not. */
const maxMessage = 1_024;

export interface RecorderOptions {
  /** Who says it. Default `fairlead`. */
  readonly component?: string;
  readonly clock?: Clock;
}

export interface BackgroundRecorder extends Recorder {
  /** Resolves when all that was recorded so far is written or given up. */
  flush(): Promise<void>;
  /** Drops what waits. */
  close(): void;
}

/** What a repeat of a stored Event needs; the Event itself has ten times the size, most of it managedFields. */
interface Stored {
  readonly namespace: string;
  readonly name: string;
  readonly count: number;
}

interface Pending {
  readonly key: string;
  readonly event: Event;
  /** Repeats while it waited. */
  count: number;
}

/**
 * Makes a recorder of Events, which writes in the background and one at a time: who records never waits.
 *
 * Equal ones (same object, type, reason and message) become one Event with a count, as in client-go. A server that is
 * away is asked again for some seconds; then the Event is given up, as Events are for people and nothing depends on them.
 */
export function createRecorder(
  client: Client,
  logger: Logger,
  options: RecorderOptions = {},
): BackgroundRecorder {
  const { component = "fairlead", clock = systemClock } = options;
  const pending = new Map<string, Pending>();
  /** Stored Events by key, the least recent first. */
  const known = new Map<string, Stored>();
  const closed = new AbortController();
  let writing: Promise<void> | undefined;
  let dropped = 0;

  function record(object: KubeObject, type: "Normal" | "Warning", reason: string, message: string): void {
    if (closed.signal.aborted) return;
    const event = eventOf({
      object,
      type,
      reason,
      message: message.slice(0, maxMessage),
      component,
      now: clock.now(),
    });
    const key = keyOf(event);
    const waiting = pending.get(key);
    if (waiting !== undefined) {
      waiting.count++;
      return;
    }
    if (pending.size >= maxPending) {
      for (const oldest of pending.keys()) {
        pending.delete(oldest);
        break;
      }
      dropped++;
    }
    pending.set(key, { key, event, count: 1 });
    writing ??= writeAll();
  }

  async function writeAll(): Promise<void> {
    await Promise.resolve();
    for (const [key, entry] of pending) {
      pending.delete(key);
      try {
        await write(entry);
      } catch (error) {
        logger.warn({ err: error, reason: entry.event.reason }, "cannot write an event");
      }
    }
    writing = undefined;
    if (dropped > 0) logger.warn({ dropped }, "too many events at once: the oldest were dropped");
    dropped = 0;
  }

  async function write({ key, event, count }: Pending): Promise<void> {
    const backoff = createBackoff(200, 5_000);
    for (let attempt = 1; !closed.signal.aborted; attempt++) {
      try {
        remember(key, await store(known.get(key), event, count));
        return;
      } catch (error) {
        if (isNotFound(error) && known.delete(key)) continue;
        if (!isTransient(error) || attempt >= maxTries) throw error;
        await pause(clock, backoff.next(), closed.signal);
      }
    }
  }

  async function store(before: Stored | undefined, event: Event, count: number): Promise<Stored> {
    const { name, namespace } = before ?? event.metadata;
    const place = { name, namespace: namespace ?? "default" };
    if (before === undefined) {
      await client.create(EventKind, { ...event, count });
      return { ...place, count };
    }
    const body = { count: before.count + count, lastTimestamp: event.lastTimestamp };
    await client.patch(EventKind, place.namespace, name, { kind: "merge", body });
    return { ...place, count: body.count };
  }

  function remember(key: string, stored: Stored): void {
    known.delete(key);
    known.set(key, stored);
    if (known.size <= maxKnown) return;
    for (const oldest of known.keys()) {
      known.delete(oldest);
      return;
    }
  }

  return {
    event(object, type, reason, message) {
      try {
        record(object, type, reason, message);
      } catch (error) {
        logger.error({ err: error, reason }, "cannot record an event");
      }
    },
    async flush() {
      while (writing !== undefined) await writing;
    },
    close() {
      closed.abort();
      pending.clear();
    },
  };
}

interface Happening {
  readonly object: KubeObject;
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
  readonly component: string;
  readonly now: number;
}

/** core/v1 Event. Those of objects without a namespace stand in `default`, as Kubernetes wants it. */
function eventOf({ object, type, reason, message, component, now }: Happening): Event {
  const { apiVersion, kind, metadata } = object;
  const namespace = metadata.namespace ?? "default";
  const time = new Date(now).toISOString().replace(/\.\d+Z$/, "Z");
  const involvedObject = {
    apiVersion,
    kind,
    name: metadata.name,
    ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
    ...(metadata.uid !== undefined && { uid: metadata.uid }),
    ...(metadata.resourceVersion !== undefined && { resourceVersion: metadata.resourceVersion }),
  };
  const unique = createHash("sha256")
    .update(`${metadata.uid}\0${type}\0${reason}\0${message}\0${now}`)
    .digest("hex")
    .slice(0, 16);
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { namespace, name: `${metadata.name.slice(0, 200)}.${unique}` },
    involvedObject,
    type,
    reason,
    message,
    count: 1,
    firstTimestamp: time,
    lastTimestamp: time,
    source: { component },
    reportingComponent: component,
    reportingInstance: component,
  };
}

function keyOf({ involvedObject, type, reason, message }: Event): string {
  const { kind, namespace, name, uid } = involvedObject;
  return [kind, namespace, name, uid, type, reason, message].join("\0");
}
