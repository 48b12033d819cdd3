/**
 * Gives Node 20 what the rooms behind `fairlead/local` use of later versions; on Node 22 and later it does nothing.
 *
 * The command line runs on a Node 24 of its own, but a library is loaded by its user's Node. Imported first by that
 * entry, for its effect.
 */
import workerThreads from "node:worker_threads";
import zlib from "node:zlib";

/** Defines what is missing, as the language's own methods are: not enumerable. */
function supply(target: object, methods: Readonly<Record<string, (...args: never[]) => unknown>>): void {
  for (const [name, value] of Object.entries(methods)) {
    if (name in target) continue;
    Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: false });
  }
}

supply(Promise, {
  withResolvers() {
    let resolve: unknown;
    let reject: unknown;
    const promise = new Promise((onResolve, onReject) => {
      resolve = onResolve;
      reject = onReject;
    });
    return { promise, resolve, reject };
  },
});

supply(Map, {
  groupBy<K, T>(items: Iterable<T>, keyOf: (item: T) => K) {
    const groups = new Map<K, T[]>();
    for (const item of items) {
      const key = keyOf(item);
      const group = groups.get(key);
      if (group) group.push(item);
      else groups.set(key, [item]);
    }
    return groups;
  },
});

supply(Set.prototype, {
  union(this: Set<unknown>, other: Set<unknown>) {
    return new Set([...this, ...other.keys()]);
  },
  intersection(this: Set<unknown>, other: Set<unknown>) {
    return new Set([...this].filter((item) => other.has(item)));
  },
  difference(this: Set<unknown>, other: Set<unknown>) {
    return new Set([...this].filter((item) => !other.has(item)));
  },
  isSubsetOf(this: Set<unknown>, other: Set<unknown>) {
    return [...this].every((item) => other.has(item));
  },
});

/** What all iterators of the language inherit. */
const iteratorPrototype: object = Object.getPrototypeOf(Object.getPrototypeOf([].values()));

supply(iteratorPrototype, {
  *map(this: Iterable<unknown>, change: (item: unknown) => unknown) {
    for (const item of this) yield change(item);
  },
  *filter(this: Iterable<unknown>, keep: (item: unknown) => boolean) {
    for (const item of this) if (keep(item)) yield item;
  },
  *flatMap(this: Iterable<unknown>, change: (item: unknown) => Iterable<unknown>) {
    for (const item of this) yield* change(item);
  },
  *take(this: Iterable<unknown>, count: number) {
    let left = count;
    for (const item of this) {
      if (left-- <= 0) return;
      yield item;
    }
  },
  toArray(this: Iterable<unknown>) {
    return [...this];
  },
  some(this: Iterable<unknown>, test: (item: unknown) => boolean) {
    return [...this].some(test);
  },
  every(this: Iterable<unknown>, test: (item: unknown) => boolean) {
    return [...this].every(test);
  },
  find(this: Iterable<unknown>, test: (item: unknown) => boolean) {
    return [...this].find(test);
  },
  forEach(this: Iterable<unknown>, visit: (item: unknown) => void) {
    for (const item of this) visit(item);
  },
  reduce(this: Iterable<unknown>, fold: (sum: unknown, item: unknown) => unknown, initial: unknown) {
    return [...this].reduce(fold, initial);
  },
});

// undici asks for these when it is loaded, and uses the first only where a server answers in zstd: none does unasked.
supply(zlib, {
  createZstdDecompress() {
    throw new Error("zstd needs Node 22");
  },
});
supply(workerThreads, { markAsUncloneable: () => undefined });
