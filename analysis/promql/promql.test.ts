import fc from "fast-check";
import { expect, test } from "vitest";
import { istioQueries } from "../checks/istio.ts";
import { answerApi } from "./api.ts";
import { evaluateQuery } from "./evaluate.ts";
import { writeExposition } from "./exposition.ts";
import { parseQuery } from "./parse.ts";
import { QueryError } from "./syntax.ts";
import type { RangeSeries, SeriesSource, Value } from "./value.ts";

const now = 1_000_000_000;

/** A counter each second that grows by `perSecond`, for two minutes up to now. */
function counter(labels: Record<string, string>, perSecond: number): RangeSeries & { readonly name: string } {
  const { __name__: name = "", ...rest } = labels;
  const points = Array.from({ length: 121 }, (_, second): [number, number] => [
    now - (120 - second) * 1000,
    second * perSecond,
  ]);
  return { name, labels: new Map(Object.entries(rest)), points };
}

const own = { reporter: "destination", destination_workload_namespace: "demo", destination_workload: "shop" };
const all = [
  counter({ __name__: "istio_requests_total", ...own, response_code: "200" }, 9.9),
  counter({ __name__: "istio_requests_total", ...own, response_code: "500" }, 0.1),
  counter(
    { __name__: "istio_requests_total", ...own, destination_workload: "other", response_code: "500" },
    50,
  ),
  ...(
    [
      ["100", 0],
      ["250", 5],
      ["500", 10],
      ["+Inf", 10],
    ] as const
  ).map(([le, rate]) =>
    counter({ __name__: "istio_request_duration_milliseconds_bucket", ...own, le }, rate),
  ),
];

const source: SeriesSource = {
  kept: 600_000,
  select: (name, wanted, start, end) =>
    all
      .filter((series) => series.name === name && wanted(series.labels))
      .map(({ labels, points }) => ({ labels, points: points.filter(([at]) => at > start && at <= end) })),
};

function number(query: string): number | string {
  const value: Value = evaluateQuery(query, now, source);
  if (value.kind === "scalar") return value.value;
  if (value.kind !== "vector") return value.kind;
  return value.samples.length === 1
    ? (value.samples[0]?.value ?? Number.NaN)
    : `${value.samples.length} series`;
}

const filled = (template: string): string =>
  template
    .replaceAll("{{ namespace }}", "demo")
    .replaceAll("{{ target }}", "shop")
    .replaceAll("{{ interval }}", "1m");

test("Flagger's built-in queries are answered", () => {
  expect(number(filled(istioQueries["request-success-rate"]))).toBeCloseTo(99, 6);
  expect(number(filled(istioQueries["request-duration"]))).toBeCloseTo(495, 6);
});

test.for([
  ["1 + 2 * 3 ^ 2", 19],
  ["-2 ^ 2", -4],
  ["2 ^ 3 ^ 2", 512],
  ["(1 + 2) * 3 % 5", 4],
  ["vector(1)", 1],
  ["scalar(vector(2.5)) * 2", 5],
  ["1 > bool 2", 0],
  ["sum(rate(istio_requests_total[1m]))", 60],
  ['sum(rate(istio_requests_total{destination_workload="shop"}[1m])) by (destination_workload)', 10],
  ["sum by (destination_workload) (rate(istio_requests_total[1m]))", "2 series"],
  ["sum without (response_code) (rate(istio_requests_total[1m]))", "2 series"],
  ["sum(increase(istio_requests_total{destination_workload='other'}[1m]))", 3000],
  ["sum(rate(istio_requests_total[1m] offset 30s))", 60],
  ["count(istio_requests_total)", 3],
  ["max(rate(istio_requests_total[1m]))", 50],
  ['avg(rate(istio_requests_total{destination_workload=~"sh.*"}[1m])) * 2', 10],
  ['sum(rate(istio_requests_total{response_code!~"5.*"}[1m]))', 9.9],
  ['istio_requests_total{absent="x"}', "0 series"],
  ["absent(nothing)", 1],
  ["absent(istio_requests_total)", "0 series"],
  ["sum(nothing) or vector(0)", 0],
  ["sum(rate(istio_requests_total[1m])) > 100", "0 series"],
  ["sum(rate(istio_requests_total[1m])) > bool 100", 0],
  ["clamp_max(sum(rate(istio_requests_total[1m])), 7)", 7],
  [
    'sum(rate(istio_requests_total{response_code="500"}[1m])) / on() sum(rate(istio_requests_total[1m]))',
    50.1 / 60,
  ],
  ["0 / 0", Number.NaN],
  ["sum(nothing)", "0 series"],
  ["istio_requests_total[1m]", "matrix"],
  ["# a comment\n1", 1],
] as const)("%s", async ([query, wanted]) => {
  const found = number(query);
  if (typeof wanted === "string" || typeof found === "string" || Number.isNaN(wanted))
    expect(found).toEqual(wanted);
  else expect(found).toBeCloseTo(wanted, 6);
});

test("a counter that fell began anew", () => {
  const points: [number, number][] = [0, 10, 20, 5, 15].map((value, index) => [
    now - (4 - index) * 1000,
    value,
  ]);
  const reset: SeriesSource = { kept: 600_000, select: () => [{ labels: new Map(), points }] };
  const value = evaluateQuery("increase(x[4s])", now, reset);
  expect(value.kind === "vector" && value.samples[0]?.value).toBeCloseTo(35, 6);
});

test.for([
  ["", "expected a metric, a number or a function, found the end of the query"],
  ["sum(", "expected a metric, a number or a function, found the end of the query"],
  ["x{a=b}", "expected a quoted text, found `b` at 4"],
  ["x[1m:5s]", "subqueries are not understood, found `:5s` at 4"],
  ["x @ 5", "`@` is not understood, found `@` at 2"],
  ["a * on(x) group_left b", "many-to-one matching is not understood, found `group_left` at 10"],
  ["quantile_over_time(0.9, x[1m])", "function `quantile_over_time` is not understood"],
  ["rate(x)", "rate wants a range of time, e.g. metric[1m]"],
  ['x{a=~"("}', "`(` is no regular expression"],
  ["1 > 2", "a comparison of two numbers needs `bool`"],
  ['{a="b"}', "a selector needs the name of a metric, found the end of the query"],
  [
    "istio_requests_total + on() istio_requests_total",
    "several series on one side have the same labels: name more labels",
  ],
  ["$(rm)", "unexpected character at 0: `$(rm)`"],
  ["rate(x[11m])", "only the last 10 minutes are kept: ask for a shorter range"],
  ["x".repeat(10_001), "a query may have 10000 characters"],
  [`${"(".repeat(2000)}1`, "the query is nested too deeply"],
] as const)("what is no query is told with its place: %s", ([query, message]) => {
  expect(() => evaluateQuery(query, now, source)).toThrow(new QueryError(message));
});

test("any text is a query or a QueryError", () => {
  const piece = fc.constantFrom(
    "sum",
    "rate",
    "(",
    ")",
    "x",
    "{",
    "}",
    "[1m]",
    "=",
    '"a"',
    "by",
    "1",
    "-",
    "or",
    " ",
    "~",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece).map((pieces) => pieces.join("")),
      ),
      (query) => {
        try {
          parseQuery(query);
        } catch (error) {
          expect(error).toBeInstanceOf(QueryError);
        }
      },
    ),
  );
});

test("the api answers in Prometheus' form", async () => {
  const ask = (path: string, parameters: Record<string, string>) =>
    answerApi(path, new URLSearchParams(parameters), source, now);
  expect(await ask("/api/v1/query", { query: "vector(1)/0" })).toEqual({
    status: 200,
    body: {
      status: "success",
      data: { resultType: "vector", result: [{ metric: {}, value: [now / 1000, "+Inf"] }] },
    },
  });
  expect(await ask("/api/v1/query", { query: "x{" })).toMatchObject({
    status: 400,
    body: { status: "error", errorType: "bad_data" },
  });
  const range = {
    query: "sum(rate(istio_requests_total[10s]))",
    start: `${now / 1000 - 10}`,
    end: `${now / 1000}`,
    step: "5s",
  };
  const answer = await ask("/api/v1/query_range", range);
  expect(answer?.body).toMatchObject({
    data: {
      resultType: "matrix",
      result: [
        {
          metric: {},
          values: [[now / 1000 - 10], [now / 1000 - 5], [now / 1000]].map(([at]) => [at, expect.any(String)]),
        },
      ],
    },
  });
  expect(await ask("/api/v1/query_range", { ...range, step: "1ms", start: "0" })).toMatchObject({
    status: 400,
  });
  expect(await ask("/api/v1/labels", {})).toBeUndefined();
});

test("what the source cannot tell is refused with its reason", () => {
  const unsure: SeriesSource = {
    kept: 600_000,
    select: (_name, _wanted, _start, _end, asked) => {
      throw new RangeError(`label \`${asked?.join()}\` is not kept`);
    },
  };
  expect(() => evaluateQuery('sum(rate(x{a="b"}[1m]))', 0, unsure)).toThrow(
    new QueryError("label `a` is not kept"),
  );
});

test("a page for federation has what its selectors want, once, in Prometheus' text form", () => {
  const names = ["istio_requests_total", "istio_request_duration_milliseconds_bucket"];
  const lines = (...matches: string[]): string[] =>
    writeExposition(names, source, now, matches)
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
  const everything = lines();
  const failed = 'istio_requests_total{response_code=~"5.*"}';
  expect(everything.length).toBeGreaterThan(lines("istio_requests_total").length);
  expect(lines(failed).length).toBeGreaterThan(0);
  expect(lines(failed).every((line) => /response_code="5\d\d"/.test(line))).toBe(true);
  expect(lines(failed, "istio_requests_total")).toHaveLength(lines("istio_requests_total").length);
  for (const wrong of ["1", "rate(istio_requests_total[1m])", "istio_requests_total[1m]", "{"])
    expect(() => lines(wrong)).toThrow(QueryError);
});
