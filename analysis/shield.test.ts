import { expect, test } from "vitest";
import { readCanary } from "../api/canary/read.ts";
import { bucketBounds } from "../api/signals.ts";
import { measure } from "./checks/measure.ts";
import { advance } from "./judge/advance.ts";
import type { Progress } from "./judge/types.ts";
import { plainProviders } from "./providers/providers.ts";
import { createRunJudge } from "./run-judge.ts";
import { readRunSettings, withoutShares } from "./settings.ts";
import { createRandom, type Random } from "./simulate/random.ts";
import { settingsOf } from "./testing/recorded-run.ts";
import { createShieldedWorld, type Fault, faults } from "./testing/shielded-world.ts";

const start = 1_760_000_000_000;
const interval = 10;
const success = { name: "request-success-rate", thresholdRange: { min: 99 }, interval: "30s" };
const duration = { name: "request-duration", thresholdRange: { max: 500 }, interval: "30s" };

/** Every way of judging a canary that a shield goes together with. */
const judges = {
  guard: {},
  "guard off": { guard: "off" },
  "trip wire alone": { guard: { errors: "off", latency: "off" } },
  "harm test alone": { guard: { tripWire: "off" } },
  "sequential against the primary": { sequential: {} },
  "sequential against the threshold": { sequential: { compare: "threshold" } },
  "sequential against both": { sequential: { compare: "both" } },
  "sequential alone": { sequential: {}, guard: "off" },
};
const strategies = {
  stepWeight: { stepWeight: 10, maxWeight: 50 },
  "stepWeight to 100": { stepWeight: 25 },
  "one percent": { stepWeights: [1, 2] },
  steps: { steps: [{ weight: 5 }, { weight: 50 }] },
  "one step": { stepWeights: [30] },
  match: { stepWeight: 20, maxWeight: 60, match: [{ headers: { "x-beta": { exact: "1" } } }] },
};
const metrics = { none: [], success: [success], duration: [duration], both: [success, duration] };

interface Setting {
  readonly judge: keyof typeof judges;
  readonly strategy: keyof typeof strategies;
  readonly metrics: keyof typeof metrics;
  readonly provider: "signals" | "prometheus" | "a prometheus that fails";
  readonly rest: Readonly<Record<string, unknown>>;
  readonly rate: number;
}

type Outcome = "promoted" | "rolled back" | "held";

async function outcome(setting: Setting, fault: (at: number) => Fault, random: Random): Promise<Outcome> {
  const { value: canary, problems } = readCanary({
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: "shop", namespace: "demo" },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      service: { port: 80 },
      ...(setting.provider !== "signals" && { metricsServer: "http://prometheus:9090" }),
      analysis: {
        ...{ interval: `${interval}s`, threshold: 3, shield: {}, metrics: metrics[setting.metrics] },
        ...judges[setting.judge],
        ...strategies[setting.strategy],
        ...setting.rest,
      },
    },
  });
  if (canary === undefined) throw new Error(JSON.stringify(problems));
  const world = createShieldedWorld(random, { fault, rate: setting.rate, start });
  const down = { name: "down", query: async () => ({ kind: "error", reason: "down" }) as const };
  const prometheus = setting.provider === "prometheus" ? world.prometheus : down;
  const { settings } = readRunSettings(canary, {
    providers: { ...plainProviders, prometheus: () => prometheus },
    template: () => undefined,
    secret: () => Promise.resolve(new Map()),
  });
  const judge = createRunJudge(settings, start, bucketBounds);
  let progress: Progress = { weight: 0, failedChecks: 0 };
  for (let second = 1; second <= 60 * interval; second++) {
    const now = start + second * 1000;
    for (const signal of world.second(now, progress.weight)) {
      if (judge.take(signal) !== undefined) return "rolled back";
    }
    if (judge.poll(now) !== undefined) return "rolled back";
    if (second % interval !== 0) continue;
    const begun = progress.weight > 0;
    const measured = begun
      ? await measure(settings.metrics, judge.recent, now, new AbortController().signal)
      : [];
    const advice = advance({
      judgement: judge.judgement(),
      checks: [...measured, ...judge.ownChecks(now)],
      settings: settings.advance,
      progress,
      now,
    });
    if (advice.kind === "roll-back") return "rolled back";
    if (advice.kind === "promote") return "promoted";
    const { failedChecks } = advice;
    const { weight } = advice.kind === "step" ? advice : progress;
    if (advice.kind === "step") judge.setWeight(weight, now);
    const heldSince = advice.kind === "hold" ? advice.heldSince : undefined;
    progress = { weight, failedChecks, ...(heldSince !== undefined && { heldSince }) };
  }
  return "held";
}

function draw<T>(random: Random, of: readonly T[]): T {
  const drawn = of[Math.floor(random.uniform() * of.length)];
  if (drawn === undefined) throw new RangeError("nothing to draw from");
  return drawn;
}

const keys = <T extends object>(of: T) => Object.keys(of) as (keyof T)[];

function drawSetting(random: Random): Setting {
  return {
    judge: draw(random, keys(judges)),
    strategy: draw(random, keys(strategies)),
    metrics: draw(random, keys(metrics)),
    provider: draw(random, ["signals", "prometheus", "a prometheus that fails"]),
    rest: {
      noData: draw(random, ["hold", "fail"]),
      providerErrors: draw(random, ["hold", "fail"]),
      onInconclusive: draw(random, ["hold", "rollback"]),
      deadline: draw(random, ["4h", "60s"]),
    },
    rate: draw(random, [1, 5, 40, 300]),
  };
}

test("a shielded canary that fails everything is never promoted, whoever judges it", async () => {
  const ill = faults.filter((fault) => fault !== "none");
  for (let seed = 1; seed <= 400; seed++) {
    const random = createRandom(seed, "dead");
    const fault = draw(random, ill);
    const setting = drawSetting(random);
    const ended = await outcome(setting, () => fault, random);
    expect(ended, `seed ${seed}: ${fault}, ${JSON.stringify(setting)}`).not.toBe("promoted");
    // Enough traffic is more than a hold, where the weight alone tells how much of it is the canary's.
    if (setting.rate < 40 || setting.strategy === "match") continue;
    if (fault === "no trace" && setting.strategy === "one percent") continue;
    expect(ended, `seed ${seed}: ${fault}, ${JSON.stringify(setting)}`).toBe("rolled back");
  }
}, 60_000);

test("one that breaks at its last step is not promoted", async () => {
  for (let seed = 1; seed <= 120; seed++) {
    const random = createRandom(seed, "late");
    const fault = draw(random, ["500", "reset", "refused", "hang"] as const);
    const setting: Setting = { ...drawSetting(random), strategy: "stepWeight", rate: 100 };
    // The fifth step of ten seconds begins at 50 s.
    const ended = await outcome(setting, (at) => (at > start + 51_000 ? fault : "none"), random);
    expect(ended, `seed ${seed}: ${fault}, ${JSON.stringify(setting)}`).not.toBe("promoted");
  }
}, 60_000);

test("a healthy one is promoted", async () => {
  for (const judge of keys(judges)) {
    for (const provider of ["signals", "prometheus"] as const) {
      for (const strategy of keys(strategies)) {
        // Where one arm has next to nothing there is no evidence of safety, with a shield or without.
        const uneven = strategy === "one percent" || strategy === "stepWeight to 100";
        if (judge.startsWith("sequential") && uneven) continue;
        const setting: Setting = { judge, strategy, metrics: "both", provider, rest: {}, rate: 300 };
        const ended = await outcome(setting, () => "none", createRandom(5, `${judge} ${strategy}`));
        expect(ended, JSON.stringify(setting)).toBe("promoted");
      }
    }
  }
}, 60_000);

test("where the weight does not tell the canary's share, too few attempts end no run", () => {
  const settings = settingsOf({ shield: {}, sequential: {} });
  expect(settings).toMatchObject({ shield: { byWeight: true }, judge: { shield: true } });
  const without = withoutShares(settings);
  expect(without.shield?.byWeight).toBe(false);
  expect(without.judge).not.toHaveProperty("shield");
  for (const blurred of [
    { match: [{ headers: { a: { exact: "b" } } }] },
    { preview: [{ headers: { a: { exact: "b" } } }] },
  ])
    expect(settingsOf({ shield: {}, sequential: {}, ...blurred })).toMatchObject({
      shield: { byWeight: false },
    });
  expect(withoutShares(settingsOf())).toEqual(settingsOf());
});
