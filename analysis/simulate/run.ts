import type { Percent } from "../../lib/units.ts";
import { nextWeight } from "../judge/steps.ts";
import type { Rule } from "../replay/rules.ts";
import { createRandom } from "./random.ts";
import type { Scenario } from "./scenarios.ts";
import { World } from "./world.ts";

/** Seconds of the primary alone that a judge may learn from. */
const past = 300;

export interface SimulatedRun {
  readonly verdict: "promoted" | "rolled back" | "held";
  /** Seconds from the run's start to the verdict. */
  readonly t: number;
  /** Seconds from the fault to the roll-back; undefined where it was not found, or found before it began. */
  readonly delay: number | undefined;
  /** Requests that the fault harmed until then. */
  readonly harmed: number;
}

/**
 * Runs one rule in one world, closed loop: the weight it sets decides what it sees next. The same seed gives each rule
 * the same luck in what does not depend on weights.
 *
 * @param steps the canary's weights, where the rule has none of its own
 * @param longest seconds after which a run that has no verdict is called held
 */
export function simulate(
  scenario: Scenario,
  seed: number,
  rule: Rule,
  steps: readonly Percent[],
  bounds: readonly number[],
  longest: number,
): SimulatedRun {
  const world = new World(scenario, createRandom(seed, scenario.name), bounds);
  const weights = rule.weights ?? steps;
  let weight = weights[0] ?? 0;
  let harmed = 0;
  const onset = scenario.onset ?? 0;
  for (let t = rule.past ? -past : 0; t < longest; t++) {
    const second = world.second(t, weight);
    if (t >= 0) harmed += second.harmed;
    const end = t + 1;
    switch (rule.second(end, second, weight)) {
      case "roll back":
        return { verdict: "rolled back", t: end, delay: end > onset ? end - onset : undefined, harmed };
      case "promote":
        return { verdict: "promoted", t: end, delay: undefined, harmed };
      case "step":
        weight = nextWeight(weight, weights) ?? weight;
        break;
      case "hold":
        break;
    }
  }
  return { verdict: "held", t: longest, delay: undefined, harmed };
}
