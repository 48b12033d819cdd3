import { expect, test } from "vitest";
import { isHigh } from "../judge/mann-whitney.ts";
import { guardJudge, sequentialJudge } from "../judge/settings.ts";
import { evidenceRule } from "../replay/evidence.ts";
import { groupSequentialRule, spendingBounds } from "../replay/group-sequential.ts";
import { kayentaRule } from "../replay/kayenta.ts";
import type { Rule } from "../replay/rules.ts";
import { flaggerRule } from "../replay/threshold-rules.ts";
import { createRandom } from "./random.ts";
import { simulate } from "./run.ts";
import { faultyWorld, healthyWorlds, type Scenario } from "./scenarios.ts";

const bounds = [25, 50, 100, 250, 500, 1000, 2500];
const steps = [5, 10, 15, 20, 25, 30, 35, 40, 45, 50];
const base = { bounds, interval: 60_000, steps, minSuccess: 99, maxDuration: 500 };
const thresholds = { interval: 60, window: 60, minSuccess: 99, maxDuration: 500, bounds, steps };
const run = (scenario: Scenario, rule: Rule, seed = 1) => simulate(scenario, seed, rule, steps, bounds, 3600);
const [healthy] = healthyWorlds;

test("a healthy canary is promoted after its ten steps, a broken one is back in three seconds", () => {
  const judge = () => evidenceRule(sequentialJudge(base), 1);
  expect(healthy && run(healthy, judge())).toMatchObject({
    verdict: "promoted",
    delay: undefined,
    harmed: 0,
  });
  const broken = run(faultyWorld("errors 100%", 1000), judge());
  expect(broken).toMatchObject({ verdict: "rolled back", delay: 3 });
  expect(broken.harmed).toBeGreaterThan(80);
  expect(run(faultyWorld("errors 100%", 1000), judge())).toEqual(broken);
});

test("what an author's thresholds allow is never ended by the guard", () => {
  const guard = guardJudge(base);
  if (guard === undefined) throw new Error("no guard");
  for (let seed = 0; seed < 10; seed++) {
    expect(run(faultyWorld("errors +0.5%", 1000), evidenceRule(guard, 1), seed).verdict).toBe("promoted");
  }
});

test("Flagger's rule ends a total outage a tick after its threshold", () => {
  expect(run(faultyWorld("errors 100%", 50), flaggerRule(thresholds, 5))).toMatchObject({ delay: 360 });
});

test("Kayenta's rule judges each five minutes and promotes after an hour", () => {
  const rule = () => kayentaRule(bounds, createRandom(4, "kayenta"));
  expect(run(faultyWorld("errors 10%", 1000), rule())).toMatchObject({ verdict: "rolled back", delay: 300 });
  expect(healthy && run(healthy, rule())).toMatchObject({ verdict: "promoted", t: 3600 });
});

test("Mann-Whitney: higher in nearly every point is high, equal series are not", () => {
  expect(isHigh([5, 6, 7, 8, 9], [1, 2, 1, 2, 1])).toBe(true);
  expect(isHigh([1, 2, 1, 2, 1], [1, 2, 1, 2, 1])).toBe(false);
  expect(isHigh([1, 2, 1, 2, 1], [5, 6, 7, 8, 9])).toBe(false);
  expect(isHigh([], [])).toBe(false);
});

test("the group sequential test spends as O'Brien and Fleming do, and looks at step ends only", () => {
  // Five equal looks, one-sided 2.5 %: Lan and DeMets' published bounds.
  const published = [4.877, 3.357, 2.68, 2.29, 2.031];
  for (const [look, bound] of spendingBounds([0.2, 0.4, 0.6, 0.8, 1], 0.025).entries())
    expect(bound).toBeCloseTo(published[look] ?? 0, 1);
  expect(run(faultyWorld("errors 10%", 1000), groupSequentialRule(thresholds))).toMatchObject({ delay: 60 });
});
