import type { Clock } from "../../lib/clock.ts";

/** What all streams together have handed to their sockets and what is not out yet: the transport copies it for each. */
export interface Flow {
  readonly isFull: boolean;
  /** Counts `bytes` until the answer is called, at most for a while: a stuck client holds up nobody. */
  take(bytes: number): () => void;
  /** Calls `go` once there is room, in the order of asking; the answer takes that back. */
  whenOpen(go: () => void): () => void;
}

/** Answers below this many bytes are not counted and never wait: weights and endpoints pass a crowd that connects. */
export const smallAnswer = 16 * 1024;

export interface FlowOptions {
  readonly clock: Clock;
  /** Bytes under way above which large answers wait. */
  readonly limit?: number;
  /** Milliseconds that bytes count which do not get out. */
  readonly patience?: number;
  /** Called when a crowd has got what it waited for and all is quiet: much of the memory it took is garbage. */
  readonly onQuiet?: () => void;
}

/** Milliseconds without a large answer after which a crowd has passed. */
const quiet = 500;

/**
 * Makes the flow of one server.
 *
 * Without it, 1,000 proxies that connect at once have a gigabyte of copies waiting; with it they get theirs in turns, no
 * later, as one core fills the sockets anyway.
 */
export function createFlow({ clock, limit = 64 * 1024 * 1024, patience = 2000, onQuiet }: FlowOptions): Flow {
  let underWay = 0;
  /** Bytes that have passed since all was quiet. */
  let passed = 0;
  let cancelQuiet: (() => void) | undefined;
  const waiting = new Set<() => void>();

  function release(bytes: number): void {
    underWay -= bytes;
    for (const go of waiting) {
      if (underWay >= limit) return;
      waiting.delete(go);
      go();
    }
    if (underWay > 0 || passed < limit || onQuiet === undefined) return;
    cancelQuiet = clock.after(quiet, () => {
      passed = 0;
      onQuiet();
    });
  }

  return {
    get isFull() {
      return underWay >= limit;
    },
    take(bytes) {
      cancelQuiet?.();
      underWay += bytes;
      passed += bytes;
      let counted = true;
      const end = () => {
        if (!counted) return;
        counted = false;
        cancel();
        release(bytes);
      };
      const cancel = clock.after(patience, end);
      return end;
    },
    whenOpen(go) {
      waiting.add(go);
      return () => void waiting.delete(go);
    },
  };
}
