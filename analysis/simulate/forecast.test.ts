import { expect, test } from "vitest";
import { sequentialDefaults } from "../judge/settings.ts";
import { readRecord } from "../record/format.ts";
import type { RuleSettings } from "../replay/create-rule.ts";
import { drawForecasts, spanText } from "../report/forecast-picture.ts";
import { recordRun, settingsOf } from "../testing/recorded-run.ts";
import { forecast, worldsFor } from "./forecast.ts";
import { readTraffic } from "./read-traffic.ts";

const settings: RuleSettings = {
  base: {
    bounds: [25, 50, 100, 250, 500, 1000, 2500],
    interval: 10_000,
    steps: [10, 50],
    minSuccess: 99,
    maxDuration: 500,
  },
  threshold: 5,
  guard: { errors: true, latency: true, alpha: 0.001, warmup: 60_000 },
};

function forecastOf(world: string, part: Partial<RuleSettings> = {}, traffic = { rate: 200, base: 0.001 }) {
  const scenario = worldsFor(traffic).find(({ name }) => name === world);
  if (scenario === undefined) throw new Error(`no world ${world}`);
  return forecast(scenario, { ...settings, ...part }, 20);
}

test("an outage is found within seconds by the guard, and after intervals by Flagger's rule alone", () => {
  const { outcomes, faulty } = forecastOf("errors 100%");
  expect(faulty).toBe(true);
  const [own, flagger] = outcomes;
  expect(own).toMatchObject({ rule: "this analysis", rolledBack: 1, promoted: 0 });
  expect(own?.delay.p50).toBeLessThanOrEqual(5);
  expect(flagger).toMatchObject({ rule: "Flagger's rule alone" });
  expect(flagger?.delay.p50).toBeGreaterThanOrEqual(10);
});

test("a good canary is promoted, and the share of false roll-backs has a limit above what was seen", () => {
  const [own] = forecastOf("nothing is wrong", { sequential: sequentialDefaults }).outcomes;
  expect(own).toMatchObject({ rolledBack: 0, promoted: 1 });
  expect(own?.rolledBackAtMost).toBeCloseTo(0.119, 2);
  expect(own?.promotedAfter).toBeGreaterThanOrEqual(20);
});

test("where a fault is never found its delay is infinite, and drawn as never", () => {
  const never = forecastOf("errors +0.5%", {
    guard: { ...(settings.guard ?? { alpha: 0.001, warmup: 0 }), errors: false, latency: false },
  });
  expect(never.outcomes[0]?.delay.p50).toBe(Number.POSITIVE_INFINITY);
  const picture = drawForecasts("<shop>", [never]);
  expect(picture).toContain(">never<");
  expect(picture).toContain("&lt;shop&gt;");
  expect(picture).not.toMatch(/NaN|Infinity/);
});

test("a run's traffic is what its polls saw", () => {
  const { text } = recordRun(
    { name: "steady", rate: 200, base: 0.01, weather: {} },
    settingsOf({ sequential: {} }),
    200,
  );
  const { rate, base } = readTraffic(readRecord(text));
  expect(rate).toBeGreaterThan(190);
  expect(rate).toBeLessThan(210);
  expect(base).toBeGreaterThan(0.007);
  expect(base).toBeLessThan(0.013);
});

test.for([
  [3, "3s"],
  [150, "3m"],
  [14_400, "4h"],
  [Number.POSITIVE_INFINITY, "–"],
] as const)("%f seconds are written as %s", ([seconds, text]) => expect(spanText(seconds)).toBe(text));
