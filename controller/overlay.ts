import type { Kind, KubeObject } from "../api/resource.ts";
import type { Snapshot } from "../kube/contract.ts";
import { compareVersions } from "../kube/resource-version.ts";
import type { Clock } from "../lib/clock.ts";

/**
 * Lets the controller see its own writes before the watch brings them.
 *
 * Without it a decision right after a write would be made on what stood before, and ask for the same again.
 */
export interface Overlay {
  /** `snapshot` with the objects that were written and have not come back yet. */
  view(snapshot: Snapshot): Snapshot;
  wrote(kind: Kind, object: KubeObject): void;
  /** How many writes every view from now on has in it. */
  turn(): number;
  /**
   * What the watch says: an object that is gone, or a version of it.
   *
   * @returns the turn from which on a view has held this or a newer version, where it is the echo of a write; undefined:
   *   it is news
   */
  seen(kind: Kind, object: KubeObject, isGone: boolean): number | undefined;
}

/** How many writes are remembered at most; older ones have long come back. */
const most = 10_000;
/** A watch that is this much behind, milliseconds, has missed it: what was created has been deleted since. */
const longest = 10_000;

interface Written {
  readonly object: KubeObject;
  /** Monotonic. */
  readonly at: number;
  readonly turn: number;
}

export function createOverlay(clock: Pick<Clock, "monotonic">): Overlay {
  const written = new Map<string, Written>();
  let turns = 0;

  /** The newer of what was written and what the watch has. */
  function newest<T extends KubeObject>(key: string, seen: T | undefined): T | undefined {
    const mine = written.get(key);
    if (mine === undefined) return seen;
    const { object, at } = mine;
    if (seen === undefined) {
      if (clock.monotonic() - at < longest) return object as T;
    } else {
      const isOlder = compareVersions(seen.metadata.resourceVersion, object.metadata.resourceVersion) < 0;
      if (isOlder && seen.metadata.uid === object.metadata.uid) return object as T;
    }
    written.delete(key);
    return seen;
  }

  return {
    view: (snapshot) => ({
      get: (kind, namespace, name) => {
        const seen = snapshot.get(kind, namespace, name);
        return written.size === 0 ? seen : newest(keyOf(kind, namespace, name), seen);
      },
      list: (kind, namespace) => snapshot.list(kind, namespace),
      ownedBy: (kind, uid) => snapshot.ownedBy(kind, uid),
    }),
    wrote(kind, object) {
      const key = keyOf(kind, object.metadata.namespace, object.metadata.name);
      turns++;
      written.delete(key);
      written.set(key, { object, at: clock.monotonic(), turn: turns });
      if (written.size <= most) return;
      for (const oldest of written.keys()) {
        written.delete(oldest);
        return;
      }
    },
    turn: () => turns,
    seen(kind, object, isGone) {
      if (written.size === 0) return undefined;
      const key = keyOf(kind, object.metadata.namespace, object.metadata.name);
      const mine = written.get(key);
      if (mine === undefined) return undefined;
      const { uid, resourceVersion } = mine.object.metadata;
      const order = compareVersions(object.metadata.resourceVersion, resourceVersion);
      if (isGone || order >= 0) written.delete(key);
      return !isGone && order <= 0 && uid === object.metadata.uid ? mine.turn : undefined;
    },
  };
}

function keyOf({ group, kind }: Kind, namespace: string | undefined, name: string): string {
  return `${group}/${kind}/${namespace ?? ""}/${name}`;
}
