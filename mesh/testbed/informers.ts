import { apiVersion, type Kind, type KubeObject } from "../../api/resource.ts";
import type { Change, Informers } from "../../kube/contract.ts";
import { snapshotOf } from "../../kube/snapshot.ts";

/** Informers over objects in memory, for tests of what stands behind them. */
export function createMemoryInformers(objects: readonly KubeObject[]): Informers & {
  /** Stores an object, in place of the one of its name. */
  put(object: KubeObject): void;
  remove(object: KubeObject): void;
} {
  const keyOf = ({ apiVersion: version, kind, metadata }: KubeObject) =>
    `${version}/${kind}/${metadata.namespace}/${metadata.name}`;
  // Istio's and the Gateway API's `Gateway` are two kinds.
  const kindOf = ({ apiVersion: version, kind }: KubeObject) => `${version}/${kind}`;
  const stored = new Map(objects.map((object) => [keyOf(object), object]));
  const handlers = new Map<string, Set<(change: Change) => void>>();
  let current = snapshotOf(stored.values());
  const tell = (change: Change) => {
    current = snapshotOf(stored.values());
    for (const handler of handlers.get(kindOf(change.object)) ?? []) handler(change);
  };
  return {
    watch: () => Promise.resolve(),
    snapshot: () => current,
    onChange<T extends KubeObject>(kind: Kind<T>, handler: (change: Change<T>) => void) {
      const name = `${apiVersion(kind)}/${kind.kind}`;
      const ofKind = handlers.get(name) ?? new Set();
      handlers.set(name, ofKind);
      const entry = (change: Change) => handler(change as Change<T>);
      ofKind.add(entry);
      return () => void ofKind.delete(entry);
    },
    lastSeen: () => Date.now(),
    close() {},
    put(object) {
      const before = stored.get(keyOf(object));
      stored.set(keyOf(object), object);
      tell(before === undefined ? { kind: "added", object } : { kind: "modified", object, before });
    },
    remove(object) {
      stored.delete(keyOf(object));
      tell({ kind: "deleted", object });
    },
  };
}
