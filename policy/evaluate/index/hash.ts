/**
 * Hashes of texts and of their beginnings, for {@link RuleIndex}: FNV-1a over UTF-16 units, 32 bits.
 *
 * Two texts may share a hash. That costs a look at a rule that then does not match, and nothing else, as each rule
 * compares in full.
 */

const offset = 0x811c9dc5;
const prime = 0x01000193;
/** Behind the last unit of a whole text: no unit of UTF-16 has this value. */
const end = 0x10000;

/** A hash to begin with, another one for each name. */
export function seedOf(name: string): number {
  return hashText(offset, name);
}

/** The hash of a part of a text, by default all of it. */
export function hashText(seed: number, text: string, from = 0, to = text.length): number {
  let hash = seed;
  for (let at = from; at < to; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), prime);
  return hash;
}

/** Tells the whole of a text from texts that begin with it. */
export function closeHash(hash: number): number {
  return Math.imul(hash ^ end, prime);
}

/** The hash of a text's end, read from its last unit back to `from`. */
export function hashBackwards(seed: number, text: string, from = 0): number {
  let hash = seed;
  for (let at = text.length - 1; at >= from; at -= 1) hash = Math.imul(hash ^ text.charCodeAt(at), prime);
  return hash;
}

/** How many prefixes there are of each length: only these beginnings of a text are looked up. */
export class Lengths {
  private readonly counts = new Map<number, number>();
  /** Rising. */
  sorted: readonly number[] = [];

  add(length: number): void {
    const count = this.counts.get(length) ?? 0;
    this.counts.set(length, count + 1);
    if (count === 0) this.sort();
  }

  drop(length: number): void {
    const count = this.counts.get(length) ?? 0;
    if (count > 1) this.counts.set(length, count - 1);
    else if (this.counts.delete(length)) this.sort();
  }

  private sort(): void {
    this.sorted = [...this.counts.keys()].sort((a, b) => a - b);
  }
}
