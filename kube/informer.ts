import type { Kind, KubeObject } from "../api/resource.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Change, Client, Informers, Snapshot } from "./contract.ts";
import { defaultTiming, type Reflector, startReflector, type WatchTiming } from "./reflector.ts";
import { createStringPool } from "./share.ts";
import { createSnapshot, kindKey } from "./snapshot.ts";

type Handler = (change: Change) => void;

/**
 * Makes the informers of one process: one watch a kind, whoever asks, and one snapshot over all.
 *
 * `selectors` leaves objects of a kind out by their labels, for all who ask.
 *
 * A server that is away is asked again with back-off, for ever; meanwhile the snapshot stays as it was last seen, and
 * `lastSeen` says how old it is.
 */
export function createInformers(
  client: Client,
  logger: Logger,
  clock: Clock = systemClock,
  timing: WatchTiming = defaultTiming,
  selectors: Readonly<Record<string, string>> = {},
): Informers {
  const reflectors = new Map<string, Reflector>();
  const handlers = new Map<string, Set<Handler>>();
  const strings = createStringPool();
  let current: Snapshot | undefined;
  let lastSeen = 0;

  function start(kind: Kind): Reflector {
    const key = kindKey(kind);
    return startReflector(kind, {
      client,
      logger,
      clock,
      timing,
      strings,
      ...(Object.hasOwn(selectors, kind.kind) && { labelSelector: selectors[kind.kind] }),
      heard: () => {
        lastSeen = clock.now();
      },
      changed: (changes) => {
        current = undefined;
        for (const change of changes) for (const handler of handlers.get(key) ?? []) call(handler, change);
      },
    });
  }

  function call(handler: Handler, change: Change): void {
    const failed = (error: unknown) => {
      const { kind, metadata } = change.object;
      logger.error(
        { err: error, kind, namespace: metadata.namespace, name: metadata.name },
        "a watch handler failed",
      );
    };
    try {
      // An async function is a valid handler too: its rejection must not end the process.
      const result: unknown = handler(change);
      if (result instanceof Promise) result.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  return {
    async watch(...kinds) {
      const started = kinds.map((kind) => {
        const key = kindKey(kind);
        const reflector = reflectors.get(key) ?? start(kind);
        reflectors.set(key, reflector);
        return reflector.synced;
      });
      await Promise.all(started);
    },
    snapshot() {
      current ??= createSnapshot(
        new Map(Array.from(reflectors, ([key, reflector]) => [key, reflector.objects()])),
      );
      return current;
    },
    onChange<T extends KubeObject>(kind: Kind<T>, handler: (change: Change<T>) => void) {
      const key = kindKey(kind);
      const ofKind = handlers.get(key) ?? new Set();
      handlers.set(key, ofKind);
      // The reflector of a kind passes on nothing but objects of its type.
      const entry: Handler = (change) => handler(change as Change<T>);
      ofKind.add(entry);
      return () => void ofKind.delete(entry);
    },
    lastSeen: () => lastSeen,
    close() {
      for (const reflector of reflectors.values()) reflector.close();
    },
  };
}
