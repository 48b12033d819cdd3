import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { readCanary } from "../../api/canary/read.ts";
import type { RuleName } from "./create-rule.ts";
import { type ReplayResult, replay } from "./replay.ts";
import { readTrace, type Trace, TraceError } from "./trace.ts";

/** Verdicts of the reference implementation (test/reference/sim_canary.py) on these traces. */
const expected = JSON.parse(
  readFileSync(new URL("testdata/expected.json", import.meta.url), "utf8"),
) as Record<string, Record<RuleName, ReplayResult>>;

function trace(name: string): Trace {
  return readTrace(
    gunzipSync(readFileSync(new URL(`testdata/${name}.ndjson.gz`, import.meta.url))).toString("utf8"),
  );
}

test.for(Object.entries(expected))(
  "trace `%s` is judged as the reference judges it, by every rule",
  ([name, rules]) => {
    const recorded = trace(name);
    for (const [rule, reference] of Object.entries(rules)) {
      const found = replay(recorded, rule as RuleName);
      expect({ rule, ...found, logE: null }).toEqual({ rule, ...reference, logE: null });
      if (reference.logE === null) expect(found.logE).toBeNull();
      else expect(Math.abs((found.logE ?? Number.NaN) - reference.logE)).toBeLessThan(1e-6);
    }
  },
);

test("a Canary's own settings count", () => {
  const { value } = readCanary({
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: "shop", namespace: "demo" },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      service: { port: 80 },
      analysis: {
        interval: "10s",
        threshold: 2,
        stepWeights: [5, 50],
        metrics: [{ name: "request-success-rate", thresholdRange: { min: 50 } }],
        sequential: { alpha: 0.000001 },
      },
    },
  });
  const recorded = trace("errors");
  expect(replay(recorded, "flagger", value)).toMatchObject({
    verdict: "promoted",
    t: 20,
    weights: [
      [0, 5],
      [10, 50],
    ],
  });
  const judged = replay(recorded, "fairlead", value);
  expect(judged.verdict).toBe("rolled back");
  expect(judged.logE).toBeGreaterThan(Math.log(1_000_000));
});

test.for([
  ["", "the trace is empty"],
  ["{}", "line 1 is no trace head: it needs `v` 1, `cells` and `bounds`"],
  ['{"v":1,"cells":20,"bounds":[25]}\nx', "line 2 is not json"],
  ['{"v":1,"cells":20,"bounds":[25]}\n{"t":0,"n":[null]}', "line 2 is no second of a trace with 20 cells"],
] as const)("a file that is no trace is told apart: %s", ([text, message]) => {
  expect(() => readTrace(text)).toThrow(new TraceError(message));
});
