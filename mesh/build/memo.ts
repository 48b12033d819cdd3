/**
 * Remembers what was built under a key, for as long as its inputs are the same values.
 *
 * `sweep` forgets the keys that were not asked for since the sweep before.
 *
 * @param isSame whether what was built anew is what was there: then the object from before is given again
 */
export function createMemo<Result>(isSame: (before: Result, after: Result) => boolean = () => false) {
  const known = new Map<string, { inputs: readonly unknown[]; result: Result; used: number }>();
  let round = 0;
  return {
    get(key: string, inputs: readonly unknown[], build: () => Result): Result {
      const entry = known.get(key);
      if (
        entry !== undefined &&
        entry.inputs.length === inputs.length &&
        inputs.every((input, index) => input === entry.inputs[index])
      ) {
        entry.used = round;
        return entry.result;
      }
      const built = build();
      const result = entry !== undefined && isSame(entry.result, built) ? entry.result : built;
      known.set(key, { inputs, result, used: round });
      return result;
    },
    /** Keeps what is known of a key beyond the next sweep. */
    keep(key: string): void {
      const entry = known.get(key);
      if (entry !== undefined) entry.used = round;
    },
    sweep(): void {
      for (const [key, { used }] of known) if (used < round) known.delete(key);
      round += 1;
    },
  };
}

export type Memo<Result> = ReturnType<typeof createMemo<Result>>;
