import type { Kind, KubeObject } from "../api/resource.ts";
import type { Snapshot } from "../kube/contract.ts";
import { compareVersions } from "../kube/resource-version.ts";

/**
 * Lets the controller see its own writes before the watch brings them.
 *
 * Without it a decision right after a write would be made on what stood before, and ask for the same again.
 */
export interface Overlay {
  /** `snapshot` with the objects that were written and have not come back yet. */
  view(snapshot: Snapshot): Snapshot;
  wrote(kind: Kind, object: KubeObject): void;
}

/** How many writes are remembered at most; older ones have long come back. */
const most = 10_000;

export function createOverlay(): Overlay {
  const written = new Map<string, KubeObject>();

  /** The newer of what was written and what the watch has; an object that is gone was deleted by somebody. */
  function newest<T extends KubeObject>(key: string, seen: T | undefined): T | undefined {
    const mine = written.get(key);
    if (mine === undefined) return seen;
    if (seen !== undefined) {
      const isOlder = compareVersions(seen.metadata.resourceVersion, mine.metadata.resourceVersion) < 0;
      if (isOlder && seen.metadata.uid === mine.metadata.uid) return mine as T;
      written.delete(key);
    }
    return seen;
  }

  return {
    view: (snapshot) => ({
      get: (kind, namespace, name) =>
        newest(keyOf(kind, namespace, name), snapshot.get(kind, namespace, name)),
      list: (kind, namespace) => snapshot.list(kind, namespace),
      ownedBy: (kind, uid) => snapshot.ownedBy(kind, uid),
    }),
    wrote(kind, object) {
      const key = keyOf(kind, object.metadata.namespace, object.metadata.name);
      written.delete(key);
      written.set(key, object);
      if (written.size <= most) return;
      for (const oldest of written.keys()) {
        written.delete(oldest);
        return;
      }
    },
  };
}

function keyOf({ group, kind }: Kind, namespace: string | undefined, name: string): string {
  return `${group}/${kind}/${namespace ?? ""}/${name}`;
}
