/** The judge against its reference implementation, over many generated traces: same verdict, second, weights and evidence. */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RuleName } from "../../analysis/replay/create-rule.ts";
import { type ReplayResult, replay } from "../../analysis/replay/replay.ts";
import { readTrace } from "../../analysis/replay/trace.ts";
import { readCanary } from "../../api/canary/read.ts";

const python = join(homedir(), ".cache/fairlead/reference-venv/bin/python");
const reference = new URL("../reference/sim_canary.py", import.meta.url).pathname;
const run = promisify(execFile);

const methods: readonly (readonly [RuleName, string])[] = [
  ["fairlead", "fairlead 1s"],
  ["fairlead-5s", "fairlead 5s"],
  ["guard", "guard"],
  ["flagger", "Flagger 60s/5"],
  ["flagger-10s", "Flagger 10s/5"],
  ["argo", "Argo limit 3"],
];

/** Every world of the reference, its hold-outs and its faults, early and late; at other rates where that matters. */
const scenarios: readonly (readonly [scenario: string, seed: number, ...options: string[]])[] = [
  ["steady 1000rps 0.1%", 12],
  ["steady 1000rps 1%", 101],
  ["steady 50rps 0.1%", 102],
  ["steady 1rps 0.1%", 103],
  ["steady 1rps 1%", 104],
  ["almost no traffic, 0.1rps", 105],
  ["shared bursts 1000rps", 106],
  ["shared bursts 50rps", 107],
  ["shared bursts 1rps", 108],
  ["shared latency spikes", 109],
  ["drift: diurnal, latency", 110],
  ["clustered errors 1000rps", 111],
  ["clustered errors 50rps 1%", 112],
  ["one-arm blips", 113],
  ["cold start (x3, 10 s)", 114],
  ["split twice as asked, 50rps 1%", 115],
  ["benign +5% errors, +5% latency", 116],
  ["H1 200rps 0.5%: bursts, drift, clusters x2", 117],
  ["H4 10rps 0.2%: clusters x5", 118],
  ["H6 1000rps 0.1%: cold start x3, 25 s", 119],
  ["errors 100%", 120],
  ["errors 10%@330", 121, "--rate", "50"],
  ["errors 2%@330", 11],
  ["errors +0.5%", 122],
  ["latency x2", 14],
  ["p99 x2 (tail 2%)@100", 16],
  ["errors 10%", 123, "--rate", "1", "--seconds", "1800"],
];

/** Seeds of each scenario: one in CI; more, and others, by `REPLAY_SEEDS=9000-9004`. */
const [from, to] = (process.env.REPLAY_SEEDS ?? "").split("-").map(Number);
const seeds = (usual: number): readonly number[] =>
  from && to ? Array.from({ length: to - from + 1 }, (_, index) => from + index) : [usual];

/** The Canary of the rule that looks at the canary alone. */
const { value: againstThreshold } = readCanary({
  apiVersion: "flagger.app/v1beta1",
  kind: "Canary",
  metadata: { name: "replay", namespace: "default" },
  spec: {
    targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "replay" },
    service: { port: 80 },
    analysis: {
      ...{ interval: "60s", threshold: 5, stepWeight: 5, maxWeight: 50 },
      metrics: [
        { name: "request-success-rate", thresholdRange: { min: 99 } },
        { name: "request-duration", thresholdRange: { max: 500 } },
      ],
      sequential: { compare: "threshold" },
    },
  },
});

describe.skipIf(!existsSync(python))(
  "the reference (needs its virtual environment: test/reference/README.md)",
  () => {
    let folder = "";
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), "fairlead-replay-"));
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    test.for(
      scenarios.flatMap(([name, seed, ...options]) =>
        seeds(seed).map((one) => [name, one, ...options] as const),
      ),
    )("%s, seed %i", async ([scenario, seed, ...options]) => {
      const file = join(folder, `${seed}.ndjson`);
      const made = await run(python, [reference, "trace", scenario, "--seed", String(seed), ...options], {
        maxBuffer: 1e9,
      });
      await writeFile(file, made.stdout);
      const trace = readTrace(readFileSync(file, "utf8"));
      const compare = async (method: string, found: ReplayResult) => {
        const { stdout } = await run(python, [reference, "replay", file, "--method", method]);
        const { verdict, t, logE, weights } = JSON.parse(stdout) as ReplayResult;
        expect({ method, ...found, logE: null }).toEqual({ method, verdict, t, weights, logE: null });
        if (logE === null) expect(found.logE).toBeNull();
        else expect(Math.abs((found.logE ?? Number.NaN) - logE)).toBeLessThan(1e-6);
      };
      for (const [rule, method] of methods) await compare(method, replay(trace, rule));
      await compare("compare: threshold", replay(trace, "fairlead", againstThreshold));
      rmSync(file);
    });
  },
);
