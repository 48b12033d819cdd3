import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readCanary } from "../../api/canary/read.ts";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { faultyWorld, type Scenario } from "../simulate/scenarios.ts";
import { epoch, recordRun, settingsOf } from "../testing/recorded-run.ts";
import { folderShelves, listRecords, readRecordFile } from "./folder.ts";
import { RecordError, type RecordHead, readRecord } from "./format.ts";
import { createRecordStore } from "./recording.ts";
import { judgeAgain, replayRule } from "./replay.ts";
import { replayRun } from "./replay-analysis.ts";

const steady: Scenario = { name: "steady", rate: 200, base: 0.001, weather: {} };

test.for([
  ["a fault", faultyWorld("errors 10%", 200, 0.001, 40), { sequential: {} }],
  ["a slow canary", faultyWorld("latency x2", 200, 0.001, 0), { sequential: {} }],
  ["a healthy one", steady, { sequential: {} }],
  ["one beside the guard", faultyWorld("errors 10%", 200, 0.001, 40), {}],
] as const)("a recorded run, %s, is judged again as it was judged", ([, scenario, analysis]) => {
  const { text, judgement, verdict, t } = recordRun(scenario, settingsOf(analysis));
  const found = replayRun(readRecord(text));
  expect(found.verdict).toBe(verdict);
  expect(Math.abs(found.t - t)).toBeLessThanOrEqual(1);
  expect(found.logE).toBeCloseTo(judgement?.harm ?? Number.NaN, 6);
  expect(found.weights[0]).toEqual([0, 10]);
});

test("every figure of a record is what judging it again gives, across a restart of the control plane too", () => {
  const { text } = recordRun(steady, settingsOf({ sequential: {} }), 120, 45);
  const record = readRecord(text);
  expect(record.rows.some(({ k }) => k === "resumed")).toBe(true);
  const { judge } = record.head;
  if (judge === null) throw new Error("nothing was judged");
  let compared = 0;
  for (const { row, judgement } of judgeAgain(record, judge)) {
    if (row.e === undefined) continue;
    // A stored state has seven digits.
    expect(judgement.harm).toBeCloseTo(row.e[1], 4);
    expect(judgement.safe).toBeCloseTo(row.e[3], 4);
    compared++;
  }
  expect(compared).toBeGreaterThan(110);
});

test("a record can be judged by other rules, and by another Canary's settings", () => {
  const record = readRecord(recordRun(faultyWorld("errors 10%", 200, 0.001, 40), settingsOf()).text);
  expect(record.head.judge?.method).toBe("guard");
  expect(replayRule(record, "fairlead").t).toBeLessThanOrEqual(replayRule(record, "guard").t);
  // The run ended long before Flagger would have.
  expect(replayRule(record, "flagger")).toMatchObject({ verdict: "held", logE: null });
  const { value } = readCanary({
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: "shop", namespace: "demo" },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      service: { port: 80 },
      analysis: {
        ...{ interval: "30s", threshold: 5, stepWeight: 10 },
        metrics: [{ name: "request-success-rate", thresholdRange: { min: 50 } }],
      },
    },
  });
  // 10 % failing is within a threshold of 50 %.
  expect(replayRun(record, value)).toMatchObject({ verdict: "held" });
  expect(() => replayRule(record, "fairlead-5s")).toThrow(RecordError);
});

test("a run whose canary never took traffic has no verdict", () => {
  const record = readRecord(recordRun(steady, settingsOf(), 5).text);
  const rows = record.rows.filter(({ k }) => k !== "weight");
  expect(() => replayRun({ ...record, rows })).toThrow("never took traffic");
});

test.for([
  ["", "the record is empty"],
  ['{"v":1}\n', "line 1 is no head of a recorded run: it needs `v` 1 and `kind` run"],
  [
    '{"v":1,"kind":"run","run":"r","at":1,"bounds":[1]}\n{"k":"poll","t":0}\n',
    "line 2 is no row of a recorded run",
  ],
  ['{"v":1,"kind":"run","run":"r","at":1,"bounds":[1]}\n{"k":\n', "line 2 is not json"],
] as const)("what is no record is told apart: %s", ([text, message]) => {
  expect(() => readRecord(text)).toThrow(new RecordError(message));
});

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fairlead-records-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const head = (run: string, canary = "shop"): RecordHead => ({
  ...{ v: 1, kind: "run", run, namespace: "demo", canary, revision: "v2:abc" },
  ...{ at: epoch, bounds: [100], base: { interval: 1000, steps: [10] }, judge: null },
  advance: settingsOf().advance,
});

async function store(
  run: string,
  mode: "always" | "onFailure",
  outcome: "promoted" | "rolled back",
  canary?: string,
) {
  const records = createRecordStore(folderShelves(folder), systemClock, silent);
  const recording = records.open(head(run, canary), mode, undefined);
  recording.recorder.weight(10, epoch + 1000);
  recording.end({ outcome }, epoch + 2000);
  await records.close();
}

test("a record is stored compressed, owned by its canary, and found again", async () => {
  await store("r1", "always", "promoted");
  const [found] = await listRecords(folder);
  expect(found).toMatchObject({ namespace: "demo", canary: "shop", run: "r1" });
  const path = found?.path ?? "";
  expect(gunzipSync(readFileSync(path)).length).toBeGreaterThan(100);
  expect(readRecord(readRecordFile(path)).rows.map(({ k }) => k)).toEqual(["weight", "end"]);
});

test("with onFailure the record of a promoted run goes, another stays", async () => {
  await store("good", "onFailure", "promoted");
  await store("bad", "onFailure", "rolled back");
  expect((await listRecords(folder)).map(({ run }) => run)).toEqual(["bad"]);
});

test("the oldest records of a canary are deleted, those of others stay", async () => {
  await store("other", "always", "promoted", "mail");
  for (let run = 0; run < 23; run++) await store(`r${run}`, "always", "promoted");
  const found = await listRecords(folder);
  expect(found.filter(({ canary }) => canary === "shop")).toHaveLength(20);
  expect(found.filter(({ canary }) => canary === "mail")).toHaveLength(1);
});

test("after a crash a record goes on, without what was cut off", async () => {
  await store("r1", "always", "rolled back");
  const [{ path, size } = { path: "", size: 0 }] = await listRecords(folder);
  truncateSync(path, size - 12);
  await store("r1", "always", "promoted");
  const { rows } = readRecord(readRecordFile(path));
  expect(rows.map(({ k }) => k).slice(-3)).toEqual(["resumed", "weight", "end"]);
  writeFileSync(path, "no record at all");
  await store("r1", "always", "promoted");
  expect(readRecord(readRecordFile(path)).rows.map(({ k }) => k)).toEqual(["weight", "end"]);
});

test("names lead nowhere else", async () => {
  const records = createRecordStore(folderShelves(folder), systemClock, silent);
  const recording = records.open(
    { ...head("../../evil"), namespace: "..", canary: "a/b" },
    "always",
    undefined,
  );
  recording.end({ outcome: "open" }, epoch);
  await records.close();
  expect(await listRecords(folder)).toMatchObject([{ namespace: "_", canary: "a_b", run: "__.._evil" }]);
});

test("a folder that cannot be written stops no run", async () => {
  writeFileSync(join(folder, "file"), "");
  const records = createRecordStore(folderShelves(join(folder, "file")), systemClock, silent);
  const recording = records.open(head("r1"), "always", undefined);
  recording.recorder.weight(10, epoch);
  recording.end({ outcome: "promoted" }, epoch);
  await records.close();
});

test("a record fits in little", () => {
  const { text } = recordRun(
    { ...steady },
    settingsOf({ interval: "30s", stepWeight: 10, sequential: {} }),
    300,
  );
  const polls = readRecord(text).rows.filter(({ k }) => k === "poll").length;
  expect(text.length / polls).toBeLessThan(400);
});
