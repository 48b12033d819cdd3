/** `fairlead analysis` as a user types it, on a folder of recorded runs. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { faultyWorld } from "../../analysis/simulate/scenarios.ts";
import { recordRun, settingsOf } from "../../analysis/testing/recorded-run.ts";
import { runProgram } from "../program.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "fairlead-analysis-"));
  const records = join(folder, "runs", "demo", "shop");
  mkdirSync(records, { recursive: true });
  const { text } = recordRun(faultyWorld("errors 10%", 100, 0.001, 40), settingsOf({ sequential: {} }));
  writeFileSync(join(records, "r1.ndjson.gz"), gzipSync(text));
  writeFileSync(join(folder, "canary.yaml"), manifest);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

const manifest = `
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: { name: shop, namespace: demo }
spec:
  targetRef: { apiVersion: apps/v1, kind: Deployment, name: shop }
  service: { port: 80 }
  analysis:
    interval: 10s
    threshold: 5
    stepWeights: [10, 50]
    metrics: [{ name: request-success-rate, thresholdRange: { min: 99 } }]
`;

async function analysis(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err] = (["stdout", "stderr"] as const).map((stream) => {
    const written: string[] = [];
    vi.spyOn(process[stream], "write").mockImplementation((text) => written.push(String(text)) > 0);
    return written;
  });
  const code = await runProgram(["analysis", ...args]);
  vi.restoreAllMocks();
  return { code, out: out?.join("") ?? "", err: err?.join("") ?? "" };
}

test("runs are listed, judged again by their own judge and by others, and reported", async () => {
  const data = ["--data", folder];
  expect((await analysis("runs", ...data)).out).toMatch(/^demo +shop +r1 /m);
  const own = JSON.parse((await analysis("replay", "--run", "shop", "-o", "json", ...data)).out) as {
    verdict: string;
    t: number;
    logE: number;
  };
  expect(own).toMatchObject({ verdict: "rolled back", logE: expect.any(Number) });
  expect(own.t).toBeGreaterThan(40);
  expect(own.t).toBeLessThan(120);
  const file = join(folder, "runs", "demo", "shop", "r1.ndjson.gz");
  expect((await analysis("replay", "-f", file, "--rule", "flagger")).out).toMatch(/^held at /);
  const lenient = manifest.replace("min: 99", "min: 50");
  writeFileSync(join(folder, "lenient.yaml"), lenient);
  const other = await analysis("replay", "--run", "r1", "--canary", join(folder, "lenient.yaml"), ...data);
  expect(other.out).toMatch(/^held at /);
  const page = join(folder, "page.html");
  expect(await analysis("report", "shop", "-n", "demo", "-o", page, ...data)).toMatchObject({ code: 0 });
  expect(readFileSync(page, "utf8")).toContain("<b>Rolled back</b>");
});

test("a simulation says how often a good canary is rolled back and when faults are found, also as data and picture", async () => {
  const canary = ["simulate", "--canary", join(folder, "canary.yaml"), "--runs", "3"];
  const svg = join(folder, "picture.svg");
  const text = await analysis(...canary, "--run", "shop", "--data", folder, "--svg", svg);
  expect(text.out).toMatch(/^shop at [\d.]+ requests\/s, of which [\d.]+ % fail anyway; 3 rollouts each/);
  expect(text.out).toMatch(/^errors 100% +this analysis +100 % /m);
  expect(readFileSync(svg, "utf8")).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
  const { out } = await analysis(...canary, "--rate", "50", "--base", "0.1", "-o", "json");
  const { forecasts } = JSON.parse(out) as { forecasts: { world: string; outcomes: unknown[] }[] };
  expect(forecasts.map(({ world }) => world)).toContain("errors +0.5%");
  expect(forecasts[0]?.outcomes).toHaveLength(2);
});

test.for([
  [["replay"], "give a trace by -f or a run by --run"],
  [
    ["replay", "--run", "mail"],
    "no run or canary `mail` is recorded (there are some of shop; `fairlead analysis runs` lists them)",
  ],
  [["report"], "give a run (`fairlead analysis runs` lists them) or a record by -f"],
  [
    ["simulate", "--canary", "CANARY"],
    "say how much traffic there is: --rate and --base, or --run for what a recorded run saw",
  ],
  [
    ["simulate", "--canary", "CANARY", "--rate", "x", "--base", "1"],
    "--rate is `x`, must be a number from 0 to 100000",
  ],
  [
    ["simulate", "--canary", "CANARY", "--rate", "5", "--base", "1", "--runs", "0"],
    "--runs is `0`, must be a whole number from 1 to 10000",
  ],
] as const)("wrong use is told: %s", async ([args, words]) => {
  const given = args.map((arg) => (arg === "CANARY" ? join(folder, "canary.yaml") : arg));
  expect(await analysis(...given, "--data", folder)).toEqual({ code: 2, out: "", err: `error: ${words}\n` });
});
