import { randomFrom } from "../../support/random.ts";

/** What depends on nothing but a seed. */
export class Random {
  /** From 0 to 1, without 1. */
  readonly next: () => number;

  constructor(seed: number) {
    this.next = randomFrom(seed);
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
