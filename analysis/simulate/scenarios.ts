/** The worlds in which judges are compared: with nothing wrong, held out, and with faults. */
import type { Fraction } from "../../lib/units.ts";

/** What is unusual in a world; absent: nothing is. */
export interface Weather {
  /** A dependency of both arms fails now and then: 5-40 % errors for 10 to 50 s. */
  readonly bursts?: boolean;
  /** The same, but both arms get slow. */
  readonly latencyBursts?: boolean;
  /** Traffic and latency drift over the day. */
  readonly drift?: boolean;
  /** Errors come in clusters of this size on average. */
  readonly cluster?: number;
  /** One bad second on one pod, about once in 5 minutes and arm: 20 errors, or half of its requests slow. */
  readonly blips?: boolean;
  /** The canary begins three times slower, and warms up in 10 s times this. */
  readonly cold?: number;
  /** The canary is a harmless 5 % worse in both. */
  readonly benign?: boolean;
  /** The canary gets this many times the share that was asked for. */
  readonly sticky?: number;
}

/** What is wrong with the canary. */
export interface Fault {
  /** More of its requests fail, by this share of those that would not. */
  readonly errors?: Fraction;
  /** All its requests take this many times as long. */
  readonly slower?: number;
  /** This share of its requests takes 600 ms more. */
  readonly tail?: Fraction;
}

export interface Scenario {
  readonly name: string;
  /** Requests per second. */
  readonly rate: number;
  /** Share of requests that fail on the primary. */
  readonly base: Fraction;
  readonly weather: Weather;
  readonly fault?: Fault;
  /** Second of the run in which the fault begins. */
  readonly onset?: number;
}

const world = (name: string, rate: number, base: Fraction, weather: Weather = {}): Scenario => ({
  name,
  rate,
  base,
  weather,
});

/** Worlds in which nothing is wrong. */
export const healthyWorlds: readonly Scenario[] = [
  world("steady 1000rps 0.1%", 1000, 0.001),
  world("steady 1000rps 1%", 1000, 0.01),
  world("steady 50rps 0.1%", 50, 0.001),
  world("steady 1rps 0.1%", 1, 0.001),
  world("steady 1rps 1%", 1, 0.01),
  world("almost no traffic, 0.1rps", 0.1, 0.001),
  world("shared bursts 1000rps", 1000, 0.001, { bursts: true }),
  world("shared bursts 50rps", 50, 0.001, { bursts: true }),
  world("shared bursts 1rps", 1, 0.001, { bursts: true }),
  world("shared latency spikes", 1000, 0.001, { latencyBursts: true }),
  world("drift: diurnal, latency", 1000, 0.001, { drift: true }),
  world("clustered errors 1000rps", 1000, 0.001, { cluster: 3 }),
  world("clustered errors 50rps 1%", 50, 0.01, { cluster: 3 }),
  world("one-arm blips", 1000, 0.001, { blips: true }),
  world("cold start (x3, 10 s)", 1000, 0.001, { cold: 1 }),
  world("split twice as asked, 50rps 1%", 50, 0.01, { sticky: 2 }),
  world("benign +5% errors, +5% latency", 1000, 0.01, { benign: true }),
];

/** Worlds that were set aside before any setting was chosen. */
export const heldOutWorlds: readonly Scenario[] = [
  world("H1 200rps 0.5%: bursts, drift, clusters x2", 200, 0.005, { bursts: true, drift: true, cluster: 2 }),
  world("H2 20rps 2%: drift, harmless +5%", 20, 0.02, { drift: true, benign: true }),
  world("H3 5000rps 0.05%: bursts, blips", 5000, 0.0005, { bursts: true, blips: true }),
  world("H4 10rps 0.2%: clusters x5", 10, 0.002, { cluster: 5 }),
  world("H5 300rps 0.3%: clusters x6", 300, 0.003, { cluster: 6 }),
  world("H6 1000rps 0.1%: cold start x3, 25 s", 1000, 0.001, { cold: 2.5 }),
];

/** The faults that judges are timed on. */
export const faults = {
  "errors 100%": { errors: 1 },
  "errors 10%": { errors: 0.1 },
  "errors 2%": { errors: 0.02 },
  "errors +0.5%": { errors: 0.005 },
  "latency x2": { slower: 2 },
  "p99 x2 (tail 2%)": { tail: 0.02 },
} as const satisfies Readonly<Record<string, Fault>>;

export type FaultName = keyof typeof faults;

/** A steady world in which the canary has a fault from `onset` on. */
export function faultyWorld(fault: FaultName, rate: number, base: Fraction = 0.001, onset = 0): Scenario {
  return {
    name: `${fault}@${onset} ${rate}rps ${base * 100}%`,
    rate,
    base,
    weather: {},
    fault: faults[fault],
    onset,
  };
}
