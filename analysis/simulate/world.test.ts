import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createRandom } from "./random.ts";
import { type FaultName, faultyWorld, healthyWorlds, heldOutWorlds, type Scenario } from "./scenarios.ts";
import { World, type WorldSecond } from "./world.ts";

const bounds = [25, 50, 100, 250, 500, 1000, 2500];
const weight = 20;
const runs = 30;
const seconds = 900;

/** Moments of the reference implementation's worlds (test/reference/worlds.py). */
const reference = JSON.parse(readFileSync(new URL("testdata/worlds.json", import.meta.url), "utf8")) as {
  readonly columns: readonly string[];
  readonly worlds: Readonly<Record<string, readonly number[]>>;
};

function scenarioOf(name: string): Scenario {
  const found = [...healthyWorlds, ...heldOutWorlds].find((scenario) => scenario.name === name);
  return found ?? faultyWorld(name.replace("fault ", "") as FaultName, 1000);
}

/** One value for each of the reference's columns. */
function columns({ canary, primary: [first, second] }: WorldSecond): number[] {
  const slow = (buckets: readonly number[]): number =>
    buckets.slice(4).reduce((sum, count) => sum + count, 0);
  const failed = first.failed + second.failed;
  return [
    canary.requests + first.requests + second.requests,
    canary.failed,
    failed,
    failed ** 2,
    slow(canary.buckets),
    slow(first.buckets) + slow(second.buckets),
  ];
}

/** Mean of each column in one run. */
function meansOfRun(scenario: Scenario, seed: number): number[] {
  const world = new World(scenario, createRandom(seed, scenario.name), bounds);
  const sums = reference.columns.map(() => 0);
  for (let t = 0; t < seconds; t++) {
    for (const [column, value] of columns(world.second(t, weight)).entries())
      sums[column] = (sums[column] ?? 0) + value;
  }
  return sums.map((sum) => sum / seconds);
}

test.for(Object.entries(reference.worlds))(
  "world `%s` is equal in distribution to the reference's",
  ([name, wanted]) => {
    const found = Array.from({ length: runs }, (_, seed) => meansOfRun(scenarioOf(name), seed));
    for (const [column, value] of wanted.entries()) {
      const values = found.map((means) => means[column] ?? 0);
      const mean = values.reduce((sum, one) => sum + one, 0) / runs;
      const variance = values.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (runs - 1);
      // Rare events that none of the runs saw still have their chance of being seen.
      const error = Math.sqrt(Math.max(variance / runs, value / (runs * seconds)));
      expect
        .soft(Math.abs(mean - value), `${reference.columns[column]}: ${mean}, reference ${value}`)
        .toBeLessThan(4.5 * error + 0.01 * value);
    }
  },
);

test("before the run the primary is alone; a fault begins at its onset and harms what it hits", () => {
  const world = new World(faultyWorld("errors 100%", 1000, 0.001, 5), createRandom(2, "onset"), bounds);
  expect(world.second(-1, 50).canary.requests).toBe(0);
  expect(world.second(4, 50).harmed).toBe(0);
  const after = world.second(5, 50);
  expect(after.canary.failed).toBe(after.canary.requests);
  expect(after.harmed).toBeGreaterThan(400);
});
