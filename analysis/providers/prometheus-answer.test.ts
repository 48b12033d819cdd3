import { expect, test } from "vitest";
import { readPrometheusAnswer } from "./prometheus-answer.ts";

const vector = (...result: unknown[]) => ({ status: "success", data: { resultType: "vector", result } });
const sample = (value: string) => ({ metric: {}, value: [1_760_000_000.123, value] });

/** Recorded answers of Prometheus 2.42, and what others in its place have said. */
test.for([
  ["one number", 200, vector(sample("99.5")), { kind: "value", value: 99.5 }],
  ["a small number", 200, vector(sample("1e-05")), { kind: "value", value: 0.00001 }],
  [
    "a scalar",
    200,
    { status: "success", data: { resultType: "scalar", result: [1_760_000_000, "3"] } },
    { kind: "value", value: 3 },
  ],
  ["an empty result", 200, vector(), { kind: "no-data", reason: "the result is empty" }],
  ["NaN", 200, vector(sample("NaN")), { kind: "no-data", reason: "the value is NaN" }],
  ["+Inf", 200, vector(sample("+Inf")), { kind: "no-data", reason: "the value is +Inf" }],
  ["-Inf", 200, vector(sample("-Inf")), { kind: "no-data", reason: "the value is -Inf" }],
  ["an empty string", 200, vector(sample("")), { kind: "no-data", reason: "the value is no number" }],
  [
    "two series",
    200,
    vector(sample("1"), sample("2")),
    { kind: "no-data", reason: "the query gives 2 series, not one" },
  ],
  [
    "a native histogram",
    200,
    vector({
      metric: {},
      histogram: [1_760_000_000, { count: "10", sum: "5", buckets: [[0, "0", "1", "10"]] }],
    }),
    { kind: "no-data", reason: "the query gives a native histogram, not a number" },
  ],
  [
    "a range",
    200,
    { status: "success", data: { resultType: "matrix", result: [] } },
    { kind: "no-data", reason: "the query gives a matrix, not one number" },
  ],
  [
    "a bad query",
    400,
    {
      status: "error",
      errorType: "bad_data",
      error: 'invalid parameter "query": 1:4: parse error: unexpected\n end',
    },
    {
      kind: "error",
      reason: 'HTTP 400 bad_data: invalid parameter "query": 1:4: parse error: unexpected end',
      refused: true,
    },
  ],
  [
    "a timeout of its own",
    503,
    { status: "error", errorType: "timeout", error: "query timed out" },
    { kind: "error", reason: "HTTP 503 timeout: query timed out" },
  ],
  [
    "another service's error",
    403,
    { status: "error", error: "token abc123 is not allowed" },
    { kind: "error", reason: "HTTP 403" },
  ],
  [
    "a login page",
    200,
    "<html>sign in</html>",
    { kind: "error", reason: "HTTP 200 with a body that is not prometheus' json" },
  ],
  [
    "a proxy's error",
    502,
    "Bad Gateway",
    { kind: "error", reason: "HTTP 502 with a body that is not prometheus' json" },
  ],
  ["a redirect", 302, "", { kind: "error", reason: "it redirects (HTTP 302): name the final address" }],
  [
    "another program's json",
    200,
    { ok: true },
    { kind: "error", reason: "the answer has no status or data" },
  ],
  [
    "a number that is none",
    200,
    vector({ metric: {}, value: [1, 5] }),
    { kind: "error", reason: "the sample is not a pair of time and value" },
  ],
  [
    "a result that is none",
    200,
    { status: "success", data: { resultType: "vector", result: {} } },
    { kind: "error", reason: "the answer has no result" },
  ],
  ["nothing", 204, undefined, { kind: "error", reason: "HTTP 204 with a body that is not prometheus' json" }],
] as const)("%s", ([, status, body, answer]) => {
  expect(readPrometheusAnswer({ status, body })).toEqual(answer);
});
