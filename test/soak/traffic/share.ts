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
  readonly second: boolean;
  readonly least: number;
  readonly most: number;
  readonly rising: boolean;
}

/**
 * The share of the second version over each 5 s (one a second) and, as chance hides a point there, over all requests,
 * over those while the weight rose and while it fell, and over those of each tenth of the weight.
 *
 * Each request goes its way independently of the others, so what chance explains has a bound: Bernstein's inequality, at
 * a probability that the sets share among them (`falseAlarms`).
 */
export function sharesOf(done: readonly Done[], asked: readonly Asked[]): readonly Share[] {
  const weighed = weigh(done, asked);
  const tenths = Map.groupBy(weighed, ({ least, most }) => Math.min(9, Math.floor(5 * (least + most))));
  const sets: (readonly [string, readonly Weighed[]])[] = [
    ["all", weighed],
    ["rising", weighed.filter(({ rising }) => rising)],
    ["falling", weighed.filter(({ rising }) => !rising)],
    ...[...tenths].map(([tenth, inside]) => [`weights ${10 * tenth}-${10 * tenth + 10}`, inside] as const),
    ...windowsOf(weighed),
  ];
  const told = sets.filter(([, inside]) => inside.length > 0);
  return told.map(([of, inside]) => shareOf(of, inside, Math.log(2 * told.length * falseAlarms)));
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

function windowsOf(weighed: readonly Weighed[]): (readonly [string, readonly Weighed[]])[] {
  const found: (readonly [string, readonly Weighed[]])[] = [];
  const begin = weighed[0]?.at ?? 0;
  const end = weighed.at(-1)?.at ?? 0;
  for (let start = begin, from = 0, to = 0; start + window <= end; start += windowsEvery) {
    while ((weighed[from]?.at ?? end) < start) from += 1;
    while ((weighed[to]?.at ?? end) < start + window) to += 1;
    found.push([`5 s from ${Math.round((start - begin) / 1000)} s`, weighed.slice(from, to)]);
  }
  return found;
}

/** The requests that say which version answered, in order. */
function weigh(done: readonly Done[], asked: readonly Asked[]): readonly Weighed[] {
  const split = done.filter(({ version }) => version !== "").sort((a, b) => a.at - b.at);
  let sure = 0;
  return split.map(({ at, end, version }) => {
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
    return { at, second: version === "v2", least, most, rising };
  });
}
