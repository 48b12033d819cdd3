/** What to expect of an analysis at a canary's own traffic: how often it is wrong, how soon it is right. */
import type { Fraction } from "../../lib/units.ts";
import type { JudgeBase } from "../judge/settings.ts";
import { createRule, type RuleSettings, thresholdsOf } from "../replay/create-rule.ts";
import type { Rule } from "../replay/rules.ts";
import { ownThresholdRule } from "../replay/threshold-rules.ts";
import { type SimulatedRun, simulate } from "./run.ts";
import { faults, type Scenario } from "./scenarios.ts";

/** The traffic that is assumed. */
export interface Traffic {
  /** Requests per second, of both arms together. */
  readonly rate: number;
  /** Share of the primary's requests that fail. */
  readonly base: Fraction;
}

/** How many runs of one rule in one world ended how. Times in seconds from the fault; Infinity: in fewer runs than that. */
export interface Outcome {
  readonly rule: string;
  readonly runs: number;
  readonly rolledBack: Fraction;
  readonly promoted: Fraction;
  /** Share of roll-backs that may be meant, of 19 in 20 such simulations at most. */
  readonly rolledBackAtMost: Fraction;
  readonly delay: { readonly p5: number; readonly p50: number; readonly p95: number };
  /** Median seconds to promotion; Infinity where less than half are promoted. */
  readonly promotedAfter: number;
  /** Median of requests that the fault harmed. */
  readonly harmed: number;
}

export interface Forecast {
  readonly world: string;
  /** Whether something is wrong with the canary in it. */
  readonly faulty: boolean;
  readonly outcomes: readonly Outcome[];
}

/** Runs that have no verdict after so many seconds are called held. */
const longest = 14_400;

/** The analysis as the Canary has it, and Flagger's rule with the same thresholds, by the names that people see. */
export function rulesOf(
  settings: RuleSettings,
): readonly { readonly name: string; readonly create: () => Rule }[] {
  const flagger = { name: "Flagger's rule alone", create: () => createRule("flagger", settings, 1) };
  if (settings.sequential !== undefined)
    return [{ name: "this analysis", create: () => createRule("fairlead", settings, 1) }, flagger];
  const watched = settings.guard !== undefined && (settings.guard.errors || settings.guard.latency);
  const has = settings.base.minSuccess !== undefined || settings.base.maxDuration !== undefined;
  const own = (): Rule => ownThresholdRule(thresholdsOf(settings.base), settings.threshold);
  const create = watched && has ? () => beside(own(), createRule("guard", settings, 1)) : own;
  return [{ name: "this analysis", create }, flagger];
}

/** The guard may end a run beside a rule; it never steps. */
function beside(rule: Rule, guard: Rule): Rule {
  return {
    past: true,
    second(t, counts, weight) {
      const ended = guard.second(t, counts, weight) === "roll back";
      if (t <= 0) return "hold";
      const ruling = rule.second(t, counts, weight);
      return ended ? "roll back" : ruling;
    },
    logE: () => guard.logE(),
  };
}

/** The worlds of a forecast: with nothing wrong, then with each fault from the first request. */
export function worldsFor({ rate, base }: Traffic): readonly Scenario[] {
  const world = (name: string, part: Partial<Scenario> = {}): Scenario => ({
    name,
    rate,
    base,
    weather: {},
    ...part,
  });
  return [
    world("nothing is wrong"),
    world("a shared dependency fails at times", { weather: { bursts: true } }),
    ...Object.entries(faults).map(([name, fault]) => world(name, { fault })),
  ];
}

/** Simulates one world with each rule, `runs` times. */
export function forecast(scenario: Scenario, settings: RuleSettings, runs: number): Forecast {
  const { base } = settings;
  return {
    world: scenario.name,
    faulty: scenario.fault !== undefined,
    outcomes: rulesOf(settings).map(({ name, create }) =>
      summarise(
        name,
        Array.from({ length: runs }, (_, seed) => runOnce(scenario, seed + 1, create(), base)),
      ),
    ),
  };
}

function runOnce(scenario: Scenario, seed: number, rule: Rule, { steps, bounds }: JudgeBase): SimulatedRun {
  return simulate(scenario, seed, rule, steps, bounds, longest);
}

function summarise(rule: string, runs: readonly SimulatedRun[]): Outcome {
  const delays = runs.map(({ delay }) => delay ?? Number.POSITIVE_INFINITY).toSorted((a, b) => a - b);
  const ends = runs
    .map(({ verdict, t }) => (verdict === "promoted" ? t : Number.POSITIVE_INFINITY))
    .toSorted((a, b) => a - b);
  const harmed = runs.map((run) => run.harmed).toSorted((a, b) => a - b);
  const at = (sorted: readonly number[], share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  const share = (verdict: SimulatedRun["verdict"]): Fraction =>
    runs.filter((run) => run.verdict === verdict).length / runs.length;
  const rolledBack = share("rolled back");
  return {
    rule,
    runs: runs.length,
    rolledBack,
    promoted: share("promoted"),
    rolledBackAtMost: wilsonUpper(rolledBack, runs.length),
    delay: { p5: at(delays, 0.05), p50: at(delays, 0.5), p95: at(delays, 0.95) },
    promotedAfter: at(ends, 0.5),
    harmed: at(harmed, 0.5),
  };
}

/** One-sided 95 % limit of a share (Wilson 1927). */
function wilsonUpper(share: Fraction, runs: number): Fraction {
  const z = 1.6449;
  const middle = share + z ** 2 / (2 * runs);
  const width = z * Math.sqrt((share * (1 - share)) / runs + z ** 2 / (4 * runs ** 2));
  return Math.min(1, (middle + width) / (1 + z ** 2 / runs));
}
