/**
 * An immutable map in key order, of which a changed copy is cheap: the keys stand in sorted chunks, and a change copies one
 * chunk and the list of chunks, so 5,000 objects cost some 200 words a change instead of 5,000 entries.
 */
export interface SortedMap<V> {
  readonly size: number;
  /** Never empty ones; all keys of a chunk are below those of the next. */
  readonly chunks: readonly Chunk<V>[];
}

interface Chunk<V> {
  readonly keys: readonly string[];
  readonly values: readonly V[];
}

/** A chunk beyond this is split in two. */
const maxChunk = 64;

const empty: SortedMap<never> = { size: 0, chunks: [] };

export function emptyMap<V>(): SortedMap<V> {
  return empty;
}

/** Builds a map of any number of entries; of equal keys the last counts. */
export function mapOf<V>(entries: Iterable<readonly [string, V]>): SortedMap<V> {
  const sorted = [...new Map(entries)].sort(([a], [b]) => (a < b ? -1 : 1));
  const chunks: Chunk<V>[] = [];
  for (let from = 0; from < sorted.length; from += maxChunk / 2) {
    const part = sorted.slice(from, from + maxChunk / 2);
    chunks.push({ keys: part.map(([key]) => key), values: part.map(([, value]) => value) });
  }
  return { size: sorted.length, chunks };
}

export function getKey<V>(map: SortedMap<V>, key: string): V | undefined {
  const chunk = map.chunks[chunkIndex(map, key)];
  if (chunk === undefined) return undefined;
  const index = lowerBound(chunk.keys, key);
  return chunk.keys[index] === key ? chunk.values[index] : undefined;
}

/** A map that holds `value` under `key`, and the rest as before. */
export function withKey<V>(map: SortedMap<V>, key: string, value: V): SortedMap<V> {
  const at = Math.min(chunkIndex(map, key), map.chunks.length - 1);
  const chunk = map.chunks[at];
  if (chunk === undefined) return { size: 1, chunks: [{ keys: [key], values: [value] }] };
  const index = lowerBound(chunk.keys, key);
  if (chunk.keys[index] === key) {
    return {
      size: map.size,
      chunks: map.chunks.with(at, { keys: chunk.keys, values: chunk.values.with(index, value) }),
    };
  }
  const grown = {
    keys: chunk.keys.toSpliced(index, 0, key),
    values: chunk.values.toSpliced(index, 0, value),
  };
  return { size: map.size + 1, chunks: map.chunks.toSpliced(at, 1, ...split(grown)) };
}

/** A map without `key`; the same map where it was not there. */
export function withoutKey<V>(map: SortedMap<V>, key: string): SortedMap<V> {
  const at = chunkIndex(map, key);
  const chunk = map.chunks[at];
  if (chunk === undefined) return map;
  const index = lowerBound(chunk.keys, key);
  if (chunk.keys[index] !== key) return map;
  if (chunk.keys.length === 1) return { size: map.size - 1, chunks: map.chunks.toSpliced(at, 1) };
  const shrunk = { keys: chunk.keys.toSpliced(index, 1), values: chunk.values.toSpliced(index, 1) };
  return { size: map.size - 1, chunks: map.chunks.with(at, shrunk) };
}

/** The values in key order; with `prefix`, those whose key begins with it. */
export function valuesOf<V>(map: SortedMap<V>, prefix = ""): readonly V[] {
  if (prefix === "") return map.chunks.flatMap(({ values }) => values);
  const found: V[] = [];
  for (let at = chunkIndex(map, prefix); at < map.chunks.length; at++) {
    const chunk = map.chunks[at];
    if (chunk === undefined) break;
    for (let index = lowerBound(chunk.keys, prefix); index < chunk.keys.length; index++) {
      const value = chunk.values[index];
      if (!chunk.keys[index]?.startsWith(prefix) || value === undefined) return found;
      found.push(value);
    }
  }
  return found;
}

/**
 * Keys that one of two maps has and the other has not, or has with another value.
 *
 * One of which the other is a changed copy costs little beside the change: chunks that both share at the beginning and at
 * the end are passed by.
 */
export function changedBetween<V>(before: SortedMap<V>, after: SortedMap<V>): string[] {
  const [old, now] = [before.chunks, after.chunks];
  const shorter = Math.min(old.length, now.length);
  let start = 0;
  while (start < shorter && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < shorter - start && old[old.length - 1 - end] === now[now.length - 1 - end]) end += 1;
  const changed: string[] = [];
  let [at, from] = [start, 0];
  /** Passes by what the old map has below `key`: it is gone. @returns the old value of `key` */
  const passTo = (key: string | undefined): V | undefined => {
    for (let chunk = old[at]; chunk !== undefined && at < old.length - end; chunk = old[at]) {
      for (let name = chunk.keys[from]; name !== undefined; name = chunk.keys[from]) {
        if (key !== undefined && name > key) return undefined;
        from += 1;
        if (name === key) return chunk.values[from - 1];
        changed.push(name);
      }
      [at, from] = [at + 1, 0];
    }
    return undefined;
  };
  for (const chunk of now.slice(start, now.length - end)) {
    if (from === 0 && chunk === old[at]) {
      at += 1;
      continue;
    }
    for (const [index, key] of chunk.keys.entries())
      if (passTo(key) !== chunk.values[index]) changed.push(key);
  }
  passTo(undefined);
  return changed;
}

/** The first chunk that may hold `key`: whose last key is not below it. The number of chunks where none may. */
function chunkIndex<V>({ chunks }: SortedMap<V>, key: string): number {
  let low = 0;
  let high = chunks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((chunks[middle]?.keys.at(-1) ?? "") < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first index whose key is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? "") < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function split<V>(chunk: Chunk<V>): Chunk<V>[] {
  if (chunk.keys.length <= maxChunk) return [chunk];
  const half = chunk.keys.length >>> 1;
  return [
    { keys: chunk.keys.slice(0, half), values: chunk.values.slice(0, half) },
    { keys: chunk.keys.slice(half), values: chunk.values.slice(half) },
  ];
}
