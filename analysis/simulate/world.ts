import type { Fraction, Percent } from "../../lib/units.ts";
import type { Counts } from "../judge/types.ts";
import type { SecondCounts } from "../replay/trace.ts";
import { binomial, multinomial, negativeBinomial, poisson } from "./counts.ts";
import { normalShare } from "./normal.ts";
import type { Random } from "./random.ts";
import type { Scenario } from "./scenarios.ts";

/** Median and spread of latencies: lognormal around 80 ms. */
const medianMs = 80;
const spread = 0.55;
/** How much longer a tail fault takes, ms. */
const tailDelay = 600;

/** One second of a world: what the judge may see, and what it cannot. */
export interface WorldSecond extends SecondCounts {
  /** Requests that the fault harmed. */
  readonly harmed: number;
}

/** What befalls both arms in one second. */
interface Conditions {
  /** Requests per second. */
  readonly rate: number;
  readonly primaryErrors: Fraction;
  readonly canaryErrors: Fraction;
  /** Shares of requests per latency bucket. */
  readonly primaryLatency: readonly Fraction[];
  readonly canaryLatency: readonly Fraction[];
  /** Share of the canary's requests that the fault made slow. */
  readonly slow: Fraction;
}

/** A world that goes on second by second, and answers for any weight. `bounds` are those of the latency buckets. */
export class World {
  private readonly scenario: Scenario;
  private readonly random: Random;
  private readonly bounds: readonly number[];
  private readonly phase: number;
  private readonly latencyPhase: number;
  private noise = 0;
  private burstEnd = -1;
  private burstLevel = 0;
  private readonly cells = new Map<string, readonly Fraction[]>();

  constructor(scenario: Scenario, random: Random, bounds: readonly number[]) {
    this.scenario = scenario;
    this.random = random;
    this.bounds = bounds;
    this.phase = random.uniform() * 2 * Math.PI;
    this.latencyPhase = random.uniform() * 2 * Math.PI;
  }

  /** The second from `t` on with the canary at `weight`; before 0 the primary is alone. */
  second(t: number, weight: Percent): WorldSecond {
    const { random, scenario } = this;
    const { weather, fault } = scenario;
    const { rate, primaryErrors, canaryErrors, primaryLatency, canaryLatency, slow } = this.conditions(t);
    const all = poisson(random, rate);
    const share = Math.min(0.9, ((weather.sticky ?? 1) * weight) / 100);
    const canaryRequests = t < 0 ? 0 : binomial(random, all, share);
    const first = binomial(random, all - canaryRequests, 0.5);
    const canary = this.count(canaryRequests, canaryErrors, canaryLatency, true);
    if (weather.blips && random.uniform() < 1 / 300) pause(canary.buckets);
    const excess = weather.benign
      ? 0
      : Math.max(canaryErrors - primaryErrors, fault === undefined ? 0 : slow);
    return {
      canary,
      primary: [
        this.count(first, primaryErrors, primaryLatency, true),
        this.count(all - canaryRequests - first, primaryErrors, primaryLatency, false),
      ],
      harmed: canaryRequests * excess,
    };
  }

  /** Requests of one group of pods; `blips`: its pods are those that have a bad second now and then. */
  private count(
    requests: number,
    errors: Fraction,
    latency: readonly Fraction[],
    blips: boolean,
  ): Counts & { buckets: number[] } {
    const { random } = this;
    let failed = this.errors(requests, errors);
    if (blips && this.scenario.weather.blips && random.uniform() < 1 / 300)
      failed = Math.min(requests, failed + 20);
    return { requests, failed, buckets: multinomial(random, requests, latency) };
  }

  /** Failures of `requests`: each for itself, or in incidents that take `cluster` requests on average. */
  private errors(requests: number, share: Fraction): number {
    const { cluster = 1 } = this.scenario.weather;
    if (cluster === 1) return binomial(this.random, requests, share);
    const incidents = binomial(this.random, requests, share / cluster);
    if (incidents === 0) return 0;
    return Math.min(requests, incidents + negativeBinomial(this.random, incidents, 1 / cluster));
  }

  private conditions(t: number): Conditions {
    const { random, scenario } = this;
    const { weather, base, fault = {}, onset = 0 } = scenario;
    this.noise = 0.9 * this.noise + 0.03 * random.normal();
    let rate = scenario.rate * Math.exp(this.noise);
    let mean = Math.log(medianMs);
    if (weather.drift) {
      rate *= 1 + 0.5 * Math.sin((2 * Math.PI * t) / 1800 + this.phase);
      mean += 0.2 * Math.sin((2 * Math.PI * t) / 1200 + this.latencyPhase);
    }
    let errors = base;
    if (weather.bursts || weather.latencyBursts) {
      const level = this.burst(t);
      if (weather.bursts) errors = level === 0 ? base : Math.min(base + level, 0.95);
      else mean += level;
    }
    const faulty = scenario.fault !== undefined && t >= onset;
    const worse = weather.benign ? 1.05 : 1;
    const more = faulty ? (fault.errors ?? 0) : 0;
    const colder = weather.cold === undefined ? 1 : 1 + 2 * Math.exp(-Math.max(t, 0) / (10 * weather.cold));
    const slower = faulty ? (fault.slower ?? 1) : 1;
    const tail = faulty ? (fault.tail ?? 0) : 0;
    return {
      rate,
      primaryErrors: errors,
      canaryErrors: errors * worse + (1 - errors * worse) * more,
      primaryLatency: this.latency(mean, 0),
      canaryLatency: this.latency(mean + Math.log(worse * colder * slower), tail),
      slow: slower > 1 ? 1 : tail,
    };
  }

  /** How bad a shared burst is in this second; 0 outside of one. */
  private burst(t: number): number {
    const { random } = this;
    if (t > this.burstEnd && random.uniform() < 1 / 300) {
      this.burstEnd = t + 10 + random.exponential(40);
      this.burstLevel = 0.05 + 0.35 * random.uniform();
    }
    if (t > this.burstEnd) return 0;
    const jitter = random.gamma(2, 0.5);
    return this.scenario.weather.latencyBursts
      ? this.burstLevel * 3 * Math.min(jitter, 3)
      : this.burstLevel * jitter;
  }

  /** Shares per bucket of a lognormal latency with this mean of the logarithm, a `tail` of it delayed. */
  private latency(mean: number, tail: Fraction): readonly Fraction[] {
    const key = `${mean} ${tail}`;
    const known = this.cells.get(key);
    if (known !== undefined) return known;
    const below = this.bounds.map(
      (bound) =>
        (1 - tail) * shareBelow(bound, mean) + (tail > 0 ? tail * shareBelow(bound - tailDelay, mean) : 0),
    );
    const shares = [...below, 1].map((share, bucket) => share - (below[bucket - 1] ?? 0));
    if (this.cells.size > 8) this.cells.clear();
    this.cells.set(key, shares);
    return shares;
  }
}

function shareBelow(bound: number, mean: number): Fraction {
  return normalShare((Math.log(Math.max(bound, 1e-9)) - mean) / spread);
}

/** One pod of two pauses for a second: half of all requests end up in the slowest bucket. */
function pause(buckets: number[]): void {
  let slow = 0;
  for (const [bucket, count] of buckets.entries()) {
    slow += Math.floor(count / 2);
    buckets[bucket] = count - Math.floor(count / 2);
  }
  const last = buckets.length - 1;
  buckets[last] = (buckets[last] ?? 0) + slow;
}
