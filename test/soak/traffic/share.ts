import type { Held } from "./held.ts";
import type { Done } from "./load.ts";

/** A weight that was asked for: percent of the second version. */
export interface Asked {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly weight: number;
  /** When the API server had taken it; undefined where nobody knows whether it has. */
  taken?: number;
}

/** How far the share of the second version was from its weight in some of the requests. */
export interface Share {
  /** Which requests, in words. */
  readonly of: string;
  readonly requests: number;
  /** Points beyond all weights that may have been in force. */
  readonly off: number;
  /** Points that are allowed: one, and what chance alone explains. */
  readonly allowed: number;
}

/** A correct split is called wrong in one run of this many at most. */
const falseAlarms = 1000;
const window = 5000;
const windowsEvery = 1000;
/** Points that the share may be off for any reason, a change's way to the proxy among them: a fifth of a second here. */
const tolerated = 1;

/** A request with the least and the most that the weight may have been while it was under way, 0 to 1. */
interface Weighed {
  readonly at: number;
  readonly kind: string;
  readonly second: boolean;
  readonly least: number;
  readonly most: number;
  readonly rising: boolean;
}

/**
 * The share of the second version over each 5 s (one a second) and, as chance hides a point there, over all requests,
 * over those while the weight rose and while it fell, those of each kind, those of each tenth of the weight, and those
 * of the 5 s after each of the restarts together.
 *
 * Each request goes its way independently of the others, so what chance explains has a bound: Bernstein's inequality, at
 * a probability that the sets share among them (`falseAlarms`).
 *
 * @param restarts when the control plane was back, epoch milliseconds
 */
export function sharesOf(
  done: readonly Done[],
  asked: readonly Asked[],
  restarts: readonly number[] = [],
): readonly Share[] {
  const weighed = weigh(done, asked);
  const tenths = Map.groupBy(weighed, ({ least, most }) => Math.min(9, Math.floor(5 * (least + most))));
  const kinds = Map.groupBy(weighed, ({ kind }) => kind);
  const sets: (readonly [string, readonly Weighed[]])[] = [
    ["all", weighed],
    ["rising", weighed.filter(({ rising }) => rising)],
    ["falling", weighed.filter(({ rising }) => !rising)],
    ["after restarts", weighed.filter(({ at }) => restarts.some((back) => at >= back && at < back + window))],
    ...kinds,
    ...[...tenths].map(([tenth, inside]) => [`weights ${10 * tenth}-${10 * tenth + 10}`, inside] as const),
    ...windowsOf(weighed).map(([second, inside]) => [`5 s from ${second} s`, inside] as const),
  ];
  const told = sets.filter(([, inside]) => inside.length > 0);
  return told.map(([of, inside]) => shareOf(of, inside, Math.log(2 * told.length * falseAlarms)));
}

/**
 * How far the caller's table was from the weights that may have been in force, in points: the mean over the worst 5 s.
 * No chance is in it.
 */
export function worstTable(
  held: readonly Held[],
  asked: readonly Asked[],
): { readonly second: number; readonly off: number } {
  const may = weightsInForce(asked);
  const looks = held.map(({ at, end, weight }) => {
    const { least, most } = may(at, end);
    return { at, off: Math.max(0, 100 * least - weight, weight - 100 * most) };
  });
  const means = windowsOf(looks).map(([second, inside]) => ({
    second,
    off: inside.reduce((sum, { off }) => sum + off, 0) / Math.max(1, inside.length),
  }));
  return means.reduce((worst, mean) => (mean.off > worst.off ? mean : worst), { second: 0, off: 0 });
}

/** Those that nothing allowed explains, and of the others the one that comes nearest. */
export function worstShares(shares: readonly Share[]): readonly Share[] {
  const wrong = shares.filter(({ off, allowed }) => off > allowed);
  const nearest = shares.toSorted((a, b) => b.off / b.allowed - a.off / a.allowed).slice(0, 1);
  return wrong.length > 0 ? wrong : nearest;
}

/** @param unlikely logarithm of how improbable chance must be to be no explanation */
function shareOf(of: string, inside: readonly Weighed[], unlikely: number): Share {
  const sum = (value: (one: Weighed) => number) => inside.reduce((total, one) => total + value(one), 0);
  const seen = sum(({ second }) => (second ? 1 : 0));
  const off = Math.max(0, sum(({ least }) => least) - seen, seen - sum(({ most }) => most));
  const variance = sum(({ least, most }) => {
    const half = Math.min(most, Math.max(least, 0.5));
    return half * (1 - half);
  });
  const chance = unlikely / 3 + Math.sqrt((unlikely / 3) ** 2 + 2 * variance * unlikely);
  const points = 100 / inside.length;
  return { of, requests: inside.length, off: off * points, allowed: tolerated + chance * points };
}

/** By the second in which they begin. */
function windowsOf<Entry extends { readonly at: number }>(
  entries: readonly Entry[],
): (readonly [second: number, inside: readonly Entry[]])[] {
  const found: (readonly [number, readonly Entry[]])[] = [];
  const begin = entries[0]?.at ?? 0;
  const end = entries.at(-1)?.at ?? 0;
  for (let start = begin, from = 0, to = 0; start + window <= end; start += windowsEvery) {
    while ((entries[from]?.at ?? end) < start) from += 1;
    while ((entries[to]?.at ?? end) < start + window) to += 1;
    found.push([Math.round((start - begin) / 1000), entries.slice(from, to)]);
  }
  return found;
}

/** The requests that say which version answered, in order. */
function weigh(done: readonly Done[], asked: readonly Asked[]): readonly Weighed[] {
  const split = done.filter(({ version }) => version !== "").sort((a, b) => a.at - b.at);
  const may = weightsInForce(asked);
  return split.map(({ kind, at, end, version }) => ({
    ...{ at, kind, second: version === "v2" },
    ...may(at, end),
  }));
}

/** Makes the function that gives the weights, 0 to 1, that may have been in force between two times; asked in order of `at`. */
function weightsInForce(asked: readonly Asked[]) {
  let sure = 0;
  return (at: number, end: number): Pick<Weighed, "least" | "most" | "rising"> => {
    for (let next = sure + 1; (asked[next]?.at ?? Number.POSITIVE_INFINITY) <= at; next += 1)
      if ((asked[next]?.taken ?? Number.POSITIVE_INFINITY) <= at) sure = next;
    let [least, most] = [1, 0];
    for (
      let index = sure;
      index === sure || (asked[index]?.at ?? Number.POSITIVE_INFINITY) <= end;
      index += 1
    ) {
      const weight = (asked[index]?.weight ?? 0) / 100;
      [least, most] = [Math.min(least, weight), Math.max(most, weight)];
    }
    const rising = (asked[sure]?.weight ?? 0) > (asked[sure - 1]?.weight ?? 0);
    return { least, most, rising };
  };
}
