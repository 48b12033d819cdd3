/** A recorded run judged again by its whole analysis: judge, rule of steps on its checks, trip wire. */
import { expect, test } from "vitest";
import { readCanary } from "../../api/canary/read.ts";
import type { Attempt } from "../../api/signals.ts";
import { bucketBounds } from "../../api/signals.ts";
import type { Check } from "../checks/types.ts";
import { createRunJudge } from "../run-judge.ts";
import { epoch, settingsOf } from "../testing/recorded-run.ts";
import { type RecordHead, readRecord } from "./format.ts";
import { createRecorder } from "./recorder.ts";
import { replayRule } from "./replay.ts";
import { replayRun } from "./replay-analysis.ts";

const settings = settingsOf();
const head: RecordHead = {
  ...({ v: 1, kind: "run" } as const),
  ...{ run: "r1", namespace: "demo", canary: "shop", revision: "r" },
  ...{ at: epoch, bounds: bucketBounds, advance: settings.advance, judge: settings.judge ?? null },
  base: { interval: 30_000, steps: settings.advance.steps, minSuccess: 99, maxDuration: 500 },
};

/** A run that is written down while `act` tells its judge what happens. */
function recorded(
  act: (run: ReturnType<typeof createRunJudge>, recorder: ReturnType<typeof createRecorder>) => void,
) {
  const lines: string[] = [];
  const recorder = createRecorder(head, (line) => lines.push(line), undefined);
  act(createRunJudge(settings, epoch, bucketBounds, undefined, recorder), recorder);
  return readRecord(lines.join(""));
}

function canaryWith(analysis: object) {
  const { value, problems } = readCanary({
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: "shop", namespace: "demo" },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      service: { port: 80 },
      analysis: { interval: "30s", threshold: 5, stepWeight: 10, maxWeight: 50, ...analysis },
    },
  });
  if (value === undefined) throw new Error(JSON.stringify(problems));
  return value;
}

const attempt = (at: number, arm: Attempt["arm"], failed: boolean, connection: string): Attempt => ({
  kind: "attempt",
  source: { replica: "r", proxy: "p", start: epoch },
  ...{ at, arm, failed, connection, status: failed ? 503 : 200, flags: [] },
});

test("a total outage trips the wire again, at the moment at which it did, unless it is off", () => {
  const record = recorded((run, recorder) => {
    run.setWeight(10, epoch + 1000);
    for (let at = epoch + 40_000; ; at += 100) {
      run.take(attempt(at - 5, "primary", false, "a"));
      const harm = run.take(attempt(at, "canary", true, at % 200 === 0 ? "a" : "b"));
      if (harm === undefined) continue;
      recorder.harm(harm);
      recorder.end({ outcome: "rolled back", message: harm.reason }, at);
      break;
    }
  });
  const harm = record.rows.find((row) => row.k === "harm");
  expect(harm?.attempts?.length).toBeGreaterThan(15);
  expect(replayRun(record)).toMatchObject({ verdict: "rolled back", t: 40, weights: [[0, 10]] });
  expect(replayRun(record, canaryWith({})).verdict).toBe("rolled back");
  expect(replayRun(record, canaryWith({ guard: { tripWire: "off" } })).verdict).toBe("held");
  // What does not show an outage does not trip it, whatever the record says.
  const rows = record.rows.map((row) =>
    row.k === "harm" ? { ...row, attempts: row.attempts?.slice(5) ?? [] } : row,
  );
  expect(replayRun({ ...record, rows }).verdict).toBe("held");
});

const check = (value: number, kind: Check["kind"]): Check => ({
  ...{ name: "queue", kind, value, threshold: "<= 10", reason: `queue ${value}` },
});

test("failed checks roll a run back again at the tick that reached the threshold; other thresholds read the same values otherwise", () => {
  const record = recorded((run, recorder) => {
    run.setWeight(10, epoch);
    for (let tick = 1; tick <= 7; tick++) recorder.checks([check(12, "failed")], epoch + tick * 30_000);
  });
  expect(replayRun(record)).toMatchObject({ verdict: "rolled back", t: 150 });
  const template = { templateRef: { name: "queue" } };
  const looser = { metrics: [{ name: "queue", ...template, thresholdRange: { max: 20 } }], maxWeight: 10 };
  expect(replayRun(record, canaryWith(looser))).toMatchObject({ verdict: "promoted", t: 30 });
  const sooner = { metrics: [{ name: "queue", ...template, thresholdRange: { max: 5 } }], threshold: 2 };
  expect(replayRun(record, canaryWith(sooner))).toMatchObject({ verdict: "rolled back", t: 60 });
  // A metric that this run did not measure says nothing: it holds.
  const other = { metrics: [{ name: "errors", ...template, thresholdRange: { max: 5 } }], maxWeight: 10 };
  expect(replayRun(record, canaryWith(other)).verdict).toBe("held");
});

test("inconclusive checks hold as they did, and fail where the Canary says so", () => {
  const nothing: Check = {
    name: "queue",
    kind: "inconclusive",
    cause: "no-data",
    threshold: "",
    reason: "empty",
  };
  const record = recorded((run, recorder) => {
    run.setWeight(10, epoch);
    for (let tick = 1; tick <= 5; tick++) recorder.checks([nothing], epoch + tick * 30_000);
  });
  expect(replayRun(record).verdict).toBe("held");
  const metrics = [{ name: "queue", templateRef: { name: "queue" }, thresholdRange: { max: 5 } }];
  expect(replayRun(record, canaryWith({ metrics, noData: "fail", threshold: 3 }))).toMatchObject({
    verdict: "rolled back",
    t: 90,
  });
});

test("a promoted run is promoted again at the tick that promoted it", () => {
  const record = recorded((run, recorder) => {
    for (const [step, weight] of settings.advance.steps.entries()) {
      run.setWeight(weight, epoch + step * 30_000);
      recorder.checks([check(1, "passed")], epoch + (step + 1) * 30_000);
    }
    recorder.end({ outcome: "promoted" }, epoch + 150_001);
  });
  expect(replayRun(record)).toMatchObject({ verdict: "promoted", t: 150 });
  expect(replayRule(record, "guard").verdict).toBe("held");
});
