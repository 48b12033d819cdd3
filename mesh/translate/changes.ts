import { apiVersion, type Kind, type KubeObject } from "../../api/resource.ts";
import type { Snapshot } from "../../kube/contract.ts";

/** Which objects have changed since the last translation: so that no more than these are looked at again. */
export interface Changes {
  add(kind: Kind, object: KubeObject): void;
  /** Keys, `namespace/name`, of the objects of this kind that have changed. */
  of(kind: Kind): ReadonlySet<string>;
}

const none: ReadonlySet<string> = new Set();

export function createChanges(): Changes {
  const byKind = new Map<string, Set<string>>();
  return {
    add(kind, object) {
      const name = nameOf(kind);
      const keys = byKind.get(name) ?? new Set();
      byKind.set(name, keys.add(keyOf(object)));
    },
    of: (kind) => byKind.get(nameOf(kind)) ?? none,
  };
}

function nameOf(kind: Kind): string {
  return `${apiVersion(kind)}/${kind.kind}`;
}

/** Names an object within its kind. */
export function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}

/** The objects to look at: those that changed (undefined where one is gone), or all. */
export function* changedObjects<T extends KubeObject>(
  snapshot: Snapshot,
  kind: Kind<T>,
  changes: Changes | undefined,
): Generator<readonly [string, T | undefined]> {
  if (changes === undefined) {
    for (const object of snapshot.list(kind)) yield [keyOf(object), object];
    return;
  }
  for (const key of changes.of(kind)) {
    const slash = key.indexOf("/");
    yield [key, snapshot.get(kind, key.slice(0, slash), key.slice(slash + 1))];
  }
}
