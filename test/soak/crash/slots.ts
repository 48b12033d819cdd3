/** A fixed number of places to work in; who waits gets the next free one by rank, and within a rank in the order of asking. */
export interface Slots<T> {
  /** Runs `work` in a place as soon as one is free; lower ranks go first. */
  run<R>(rank: number, work: (place: T) => Promise<R>): Promise<R>;
}

interface Waiting<T> {
  readonly rank: number;
  readonly start: (place: T) => void;
}

export function createSlots<T>(places: readonly T[]): Slots<T> {
  /** Each in a box, as a place may be anything, also undefined. */
  const free = places.map((place) => ({ place }));
  const waiting: Waiting<T>[] = [];

  function give(place: T): void {
    const next = waiting.shift();
    if (next === undefined) free.push({ place });
    else next.start(place);
  }

  function take(rank: number): Promise<T> {
    const found = free.pop();
    if (found !== undefined) return Promise.resolve(found.place);
    return new Promise((start) => {
      const behind = waiting.findIndex((other) => other.rank > rank);
      waiting.splice(behind < 0 ? waiting.length : behind, 0, { rank, start });
    });
  }

  return {
    async run(rank, work) {
      const place = await take(rank);
      try {
        return await work(place);
      } finally {
        give(place);
      }
    },
  };
}
