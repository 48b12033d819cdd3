import { readCanary } from "../../api/canary/read.ts";
import { bucketBounds, type Window } from "../../api/signals.ts";
import type { Harm, RunSettings } from "../analyst.ts";
import { advance } from "../judge/advance.ts";
import type { Counts, Judgement } from "../judge/types.ts";
import type { RecordHead } from "../record/format.ts";
import { createRecorder } from "../record/recorder.ts";
import { createRunJudge } from "../run-judge.ts";
import { readRunSettings } from "../settings.ts";
import { createRandom } from "../simulate/random.ts";
import type { Scenario } from "../simulate/scenarios.ts";
import { World } from "../simulate/world.ts";

export const epoch = 1_760_000_000_000;

/** How runs of a Canary are analysed that has this `spec.analysis`. */
export function settingsOf(analysis: Readonly<Record<string, unknown>> = {}): RunSettings {
  const { value, problems } = readCanary({
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: "shop", namespace: "demo" },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      service: { port: 80 },
      analysis: {
        interval: "30s",
        threshold: 5,
        stepWeight: 10,
        maxWeight: 50,
        metrics: [
          { name: "request-success-rate", thresholdRange: { min: 99 }, interval: "30s" },
          { name: "request-duration", thresholdRange: { max: 500 }, interval: "30s" },
        ],
        ...analysis,
      },
    },
  });
  if (value === undefined) throw new Error(JSON.stringify(problems));
  return readRunSettings(value, { template: () => undefined, secret: () => Promise.resolve(new Map()) })
    .settings;
}

/**
 * Lets a run happen in a simulated world, through the judge of production, closed loop, and records it.
 *
 * @returns the record's text, the last judgement and the verdict with its second
 */
export function recordRun(scenario: Scenario, settings: RunSettings, longest = 1200, restartAt?: number) {
  const lines: string[] = [];
  const { judge = null, advance: rule } = settings;
  const base = settings.record?.base ?? { interval: 30_000, steps: [] };
  const head: RecordHead = {
    ...({ v: 1, kind: "run" } as const),
    ...{ run: "r1", namespace: "demo", canary: "shop", revision: "v2:abc" },
    ...{ at: epoch, bounds: bucketBounds, base, judge, advance: rule },
  };
  const write = (line: string): number => lines.push(line);
  let recorder = createRecorder(head, write, undefined);
  let running = createRunJudge(settings, epoch, bucketBounds, undefined, recorder);
  const world = new World(scenario, createRandom(7, scenario.name), bucketBounds);
  const windows = cumulate();
  const past: Window[] = [];
  for (let t = -120; t < 0; t++) past.push(...windows(epoch + t * 1000 + 500, world.second(t, 0)));
  running.learn(past);
  let weight = 0;
  const step = (next: number, at: number): void => {
    weight = next;
    running.setWeight(next, at);
  };
  step(rule.steps[0] ?? 100, epoch);
  let enteredAt = epoch;
  let harm: Harm | undefined;
  let judgement: Judgement | undefined;
  let verdict: "promoted" | "rolled back" | "held" = "held";
  let t = 0;
  for (; t < longest && verdict === "held"; t++) {
    const now = epoch + (t + 1) * 1000 + 3.25;
    if (t === restartAt) {
      const stored = running.stored();
      recorder = createRecorder(head, write, { at: now - 900, stored });
      running = createRunJudge(settings, now - 900, bucketBounds, stored, recorder);
    }
    for (const window of windows(now - 200, world.second(t, weight))) running.take(window);
    harm = running.poll(now);
    judgement = running.judgement();
    if (harm !== undefined) {
      recorder.harm(harm);
      verdict = "rolled back";
      break;
    }
    if (now - enteredAt < base.interval) continue;
    recorder.checks([], now);
    const advice = advance({
      judgement,
      checks: [],
      settings: rule,
      progress: { weight, failedChecks: 0 },
      now,
    });
    if (advice.kind === "promote") verdict = "promoted";
    if (advice.kind !== "step") continue;
    step(advice.weight, now);
    enteredAt = now;
  }
  recorder.end(
    { outcome: verdict === "held" ? "open" : verdict, ...(harm && { message: harm.reason }) },
    epoch + (t + 1) * 1000 + 10,
  );
  return { text: lines.join(""), judgement, verdict, t: t + 1 };
}

/** A world's seconds as the windows of one proxy on each side. */
function cumulate() {
  const totals = new Map<string, Counts>();
  let seq = 0;
  return (at: number, { canary, primary: [first, second] }: ReturnType<World["second"]>): Window[] => {
    seq++;
    const both = sum(first, second);
    const all: readonly (readonly [Window["arm"], Window["side"], 0 | 1, Counts])[] = [
      ["canary", "client", 0, canary],
      ["primary", "client", 0, both],
      ["canary", "destination", 0, canary],
      ["primary", "destination", 0, first],
      ["primary", "destination", 1, second],
    ];
    return all.map(([arm, side, half, counts]) => {
      const key = `${arm} ${side} ${half}`;
      const before = totals.get(key);
      const total = before === undefined ? counts : sum(before, counts);
      totals.set(key, total);
      return {
        kind: "window",
        source: { replica: "r", proxy: `${arm}-${side}-${half}`, start: epoch - 200_000 },
        ...{ seq, at, arm, side, half, connections: 2 },
        ...total,
      };
    });
  };
}

function sum(a: Counts, b: Counts): Counts {
  return {
    requests: a.requests + b.requests,
    failed: a.failed + b.failed,
    buckets: a.buckets.map((count, bucket) => count + (b.buckets[bucket] ?? 0)),
  };
}
