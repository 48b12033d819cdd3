/** Bits of a packed cell that hold its count; the others hold its index. */
const countBits = 26;
const largest = 2 ** countBits - 1;
const headLength = 2;

/** One second of one subject: which cells are not 0. */
export interface Second {
  readonly second: number;
  readonly cells: ReadonlyMap<number, number>;
}

/**
 * The newest seconds of one subject, each with up to 64 counts, of which most are 0: only the others take memory, four
 * bytes each. Beyond them, what was ever counted is kept as one sum.
 */
export class Seconds {
  private readonly kept: number;
  private words = new Uint32Array(64);
  private length = 0;
  /** The sum of what was dropped. */
  readonly dropped = new Map<number, number>();
  /** The open second, which still grows. */
  private open: { second: number; cells: Map<number, number> } | undefined;

  /** @param kept how many seconds are remembered one by one */
  constructor(kept: number) {
    this.kept = kept;
  }

  /** The newest second that holds anything; `-Infinity` while there is none. */
  get newest(): number {
    return this.open?.second ?? Number.NEGATIVE_INFINITY;
  }

  /** What is added from now on counts for `second`; for the newest where that is later. */
  begin(second: number): void {
    if (this.open !== undefined && second <= this.open.second) return;
    if (this.open !== undefined) this.close(this.open);
    this.open = { second, cells: new Map() };
    this.drop(second - this.kept);
  }

  /** Adds to the second that was begun last. */
  add(index: number, count: number): void {
    const cells = this.open?.cells;
    if (count > 0 && cells !== undefined)
      cells.set(index, Math.min(largest, (cells.get(index) ?? 0) + count));
  }

  /** The seconds from `from` on that hold anything, oldest first. */
  *since(from: number): Generator<Second> {
    for (let at = 0; at < this.length; at += headLength + (this.words[at + 1] ?? 0)) {
      if ((this.words[at] ?? 0) >= from) yield { second: this.words[at] ?? 0, cells: this.cellsAt(at) };
    }
    if (this.open !== undefined && this.open.second >= from) yield this.open;
  }

  private cellsAt(at: number): Map<number, number> {
    const cells = new Map<number, number>();
    for (let cell = 0; cell < (this.words[at + 1] ?? 0); cell++) {
      const packed = this.words[at + headLength + cell] ?? 0;
      cells.set(packed >>> countBits, packed & largest);
    }
    return cells;
  }

  private close({ second, cells }: { second: number; cells: Map<number, number> }): void {
    const needed = this.length + headLength + cells.size;
    if (needed > this.words.length) {
      const larger = new Uint32Array(Math.max(needed, this.words.length * 2));
      larger.set(this.words.subarray(0, this.length));
      this.words = larger;
    }
    this.words[this.length] = second;
    this.words[this.length + 1] = cells.size;
    let at = this.length + headLength;
    for (const [index, count] of cells) this.words[at++] = index * 2 ** countBits + count;
    this.length = at;
  }

  /** Forgets seconds before `from`, a quarter of the memory at a time. */
  private drop(from: number): void {
    let end = 0;
    while (end < this.length && (this.words[end] ?? 0) < from) end += headLength + (this.words[end + 1] ?? 0);
    if (end === 0 || (end < this.words.length / 4 && end < this.length)) return;
    for (let at = 0; at < end; at += headLength + (this.words[at + 1] ?? 0))
      for (const [index, count] of this.cellsAt(at))
        this.dropped.set(index, (this.dropped.get(index) ?? 0) + count);
    this.words.copyWithin(0, end, this.length);
    this.length -= end;
  }
}
