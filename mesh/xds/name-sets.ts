import { hash } from "node:crypto";

/** Sets of names, each kept once for all streams that came to it by the same requests. */
export interface NameSets {
  /** `before` with `added` and without `removed`. Shared, so never changed. */
  step(
    before: ReadonlySet<string>,
    added: readonly string[],
    removed: readonly string[],
  ): ReadonlySet<string>;
}

/** What a stream begins with. */
export const noNames: ReadonlySet<string> = new Set();

/** Below this many names a set costs less than finding its like. */
const worthSharing = 16;

/**
 * Makes the sharing of one server: sidecars ask for the endpoints of all clusters by name, hundreds of names a stream, and
 * most of them for the same. A set goes when the last stream that holds it goes.
 */
export function createNameSets(): NameSets {
  const steps = new WeakMap<ReadonlySet<string>, Map<string, WeakRef<ReadonlySet<string>>>>();
  const gone = new FinalizationRegistry<() => void>((forget) => forget());

  function build(before: ReadonlySet<string>, added: readonly string[], removed: readonly string[]) {
    const set = new Set(before);
    for (const name of removed) set.delete(name);
    for (const name of added) set.add(name);
    return set;
  }

  return {
    step(before, added, removed) {
      if (added.length + removed.length === 0) return before;
      if (before.size + added.length < worthSharing) return build(before, added, removed);
      let next = steps.get(before);
      if (next === undefined) {
        next = new Map();
        steps.set(before, next);
      }
      // Envoy's order of names differs from process to process.
      const names = added.toSorted();
      const key = hash("sha1", `${names.join("\n")}\n\n${removed.toSorted().join("\n")}`, "base64");
      const known = next.get(key)?.deref();
      if (known !== undefined) return known;
      const set = build(before, names, removed);
      const from = next;
      from.set(key, new WeakRef(set));
      gone.register(set, () => {
        if (from.get(key)?.deref() === undefined) from.delete(key);
      });
      return set;
    },
  };
}
