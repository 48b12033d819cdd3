/** Numbers that depend on nothing but a seed (mulberry32). */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** From 0 to 1, without 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  /** A whole number from `least` to `most`. */
  int(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  pick<T>(of: readonly T[]): T {
    const one = of[Math.floor(this.next() * of.length)];
    if (one === undefined) throw new RangeError("nothing to pick from");
    return one;
  }

  /** `least` to `most` of them, maybe one twice. */
  some<T>(of: readonly T[], least: number, most: number): T[] {
    return Array.from({ length: this.int(least, most) }, () => this.pick(of));
  }
}
