import { addRecent, noRecent } from "./recent.ts";
import { createState } from "./state.ts";
import type { JudgeSettings, JudgeState, TestState } from "./types.ts";

/** Version of the form below; another one is not read. */
const version = 1;

/** The judge's memory as it stands in a Canary's status. Short names: it is written often. */
interface Stored {
  readonly v: typeof version;
  /** Names of the tests: a state is for the same tests only. */
  readonly n: string;
  readonly w: number;
  readonly s: number | null;
  readonly e: number | null;
  readonly p: number | null;
  /** Per test: early, late (null for -Infinity), safe, squares, bad. */
  readonly t: readonly (readonly [(number | null)[], (number | null)[], (number | null)[], number, number])[];
  /** Past latencies, trailing zeros cut. */
  readonly b: readonly number[];
  readonly h: readonly [number, number];
  readonly c: readonly [number, number];
  /** The last interval in one: canary, failed, all. */
  readonly r: readonly [number, number, number];
  readonly g: number;
}

/** The state as JSON-able value of about 600 bytes. The polls of the last interval become one; counters are left out. */
export function storeState(state: JudgeState, settings: JudgeSettings): Stored {
  const filled = state.pastBuckets.findLastIndex((count) => count > 0) + 1;
  return {
    v: version,
    n: testNames(settings),
    w: state.weight,
    s: state.startedAt ?? null,
    e: state.enteredAt ?? null,
    p: state.polledAt ?? null,
    t: state.tests.map((test) => [
      test.early.map(short),
      test.late.map(short),
      test.safe.map(short),
      short(test.squares) ?? 0,
      short(test.bad) ?? 0,
    ]),
    b: state.pastBuckets.slice(0, filled),
    h: state.halves,
    c: [state.seen.canary, state.seen.primary],
    r: [state.recent.canary, state.recent.canaryFailed, state.recent.all],
    g: short(state.harm) ?? 0,
  };
}

/**
 * The state again, or undefined where `stored` is not one of these settings (another version, other tests, damage).
 * Counters begin at 0, so whoever feeds it counts from the moment of storing: the gap is one longer poll.
 */
export function restoreState(stored: unknown, settings: JudgeSettings, now: number): JudgeState | undefined {
  if (!isStored(stored) || stored.n !== testNames(settings)) return undefined;
  const fresh = createState(settings);
  const tests = stored.t.map(
    ([early, late, safe, squares, bad]): TestState => ({
      early: early.map(long),
      late: late.map(long),
      safe: safe.map(long),
      squares,
      bad,
    }),
  );
  const sameShape = fresh.tests.every((test, index) => {
    const found = tests[index];
    return (
      found?.early.length === test.early.length &&
      found.late.length === test.late.length &&
      found.safe.length === test.safe.length
    );
  });
  if (!sameShape || tests.length !== fresh.tests.length || stored.b.length > fresh.pastBuckets.length)
    return undefined;
  const [canary, canaryFailed, all] = stored.r;
  const polledAt = stored.p === null ? undefined : Math.min(stored.p, now);
  return {
    weight: stored.w,
    ...(stored.s === null ? {} : { startedAt: Math.min(stored.s, now) }),
    ...(stored.e === null ? {} : { enteredAt: Math.min(stored.e, now) }),
    ...(polledAt === undefined ? {} : { polledAt }),
    tests,
    pastBuckets: fresh.pastBuckets.map((_, bucket) => stored.b[bucket] ?? 0),
    halves: stored.h,
    seen: { canary: stored.c[0], primary: stored.c[1] },
    recent:
      polledAt === undefined
        ? noRecent
        : addRecent(noRecent, { at: polledAt, tests: [], canary, canaryFailed, all }, settings.interval),
    harm: stored.g,
  };
}

const testNames = (settings: JudgeSettings): string => settings.tests.map(({ name }) => name).join();

/** Seven digits: far below what a verdict depends on. null for -Infinity, which JSON cannot hold. */
function short(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(7)) : null;
}

const long = (value: number | null): number => value ?? Number.NEGATIVE_INFINITY;

function isStored(value: unknown): value is Stored {
  if (typeof value !== "object" || value === null) return false;
  const { v, n, w, s, e, p, t, b, h, c, r, g } = value as Partial<Record<keyof Stored, unknown>>;
  const numbers = (list: unknown): boolean =>
    Array.isArray(list) && list.every((item) => Number.isFinite(item));
  const orNull = (item: unknown): boolean => item === null || Number.isFinite(item);
  const listOrNull = (list: unknown): boolean => Array.isArray(list) && list.every(orNull);
  const tests = (list: unknown): boolean =>
    Array.isArray(list) &&
    list.every(
      (test: unknown) =>
        Array.isArray(test) &&
        test.length === 5 &&
        test.slice(0, 3).every(listOrNull) &&
        test[4] > 0 &&
        test[3] >= 0,
    );
  return (
    v === version &&
    typeof n === "string" &&
    Number.isFinite(w) &&
    [s, e, p].every(orNull) &&
    tests(t) &&
    numbers(b) &&
    [h, c].every((pair) => numbers(pair) && Array.isArray(pair) && pair.length === 2) &&
    numbers(r) &&
    Array.isArray(r) &&
    r.length === 3 &&
    Number.isFinite(g)
  );
}
