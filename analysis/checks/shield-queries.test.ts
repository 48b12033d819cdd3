import { expect, test } from "vitest";
import { evaluateQuery } from "../promql/evaluate.ts";
import type { SeriesSource } from "../promql/value.ts";
import { shieldQueries, shieldWarning } from "./shield-queries.ts";

const now = 1_000_000_000;
const shop = { destination_workload_namespace: "demo", destination_workload: "shop" };

const shield = "shield|80||shop-canary.demo.svc.cluster.local";

interface Grown {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of the counter, per second. */
  readonly rate: number;
}

const attempts = (response_code: string, rate: number, labels: Grown["labels"] = {}): Grown => ({
  name: "fairlead_attempts_total",
  labels: {
    ...{ shield, attempt: "1", ...shop, response_code, grpc_response_status: "", response_flags: "UF" },
    ...labels,
  },
  rate,
});
const arrived = (response_code: string, rate: number): Grown => ({
  name: "istio_requests_total",
  labels: { reporter: "destination", ...shop, response_code },
  rate,
});
const buckets = (name: string, labels: Grown["labels"], slow: boolean): Grown[] =>
  ["100", "500", "+Inf"].map((le) => ({
    name,
    labels: { ...shop, ...labels, le },
    rate: slow && le === "100" ? 0 : 5,
  }));

function answer(query: string, ...grown: readonly Grown[]): number | undefined {
  const source: SeriesSource = {
    kept: 600_000,
    select: (wantedName, wanted, start, end) =>
      grown
        .map(({ name, labels, rate }) => ({
          name,
          labels: new Map(Object.entries(labels)),
          points: Array.from({ length: 120 }, (_, second): [number, number] => [
            now - (119 - second) * 1000,
            second * rate,
          ]).filter(([at]) => at > start && at <= end),
        }))
        .filter(({ name, labels }) => name === wantedName && wanted(labels)),
  };
  const filled = query
    .replaceAll("{{ namespace }}", "demo")
    .replaceAll("{{ target }}", "shop")
    .replaceAll("{{ service }}", "shop")
    .replaceAll("{{ interval }}", "1m");
  const value = evaluateQuery(filled, now, source);
  return value.kind === "vector" ? value.samples[0]?.value : Number.NaN;
}

const rate = shieldQueries["request-success-rate"];

test.for([
  ["nothing fails", 100, [attempts("200", 10), arrived("200", 10)]],
  ["every attempt is answered 500", 0, [attempts("500", 10), arrived("500", 10)]],
  [
    "every attempt is given up, which is no failure where it arrives",
    0,
    [attempts("504", 10), arrived("0", 10)],
  ],
  ["no attempt is answered at all", 0, [attempts("0", 10)]],
  ["a tenth fails", 90, [attempts("200", 9), attempts("503", 1), arrived("200", 10)]],
  ["orders fail, which no shield covers", 50, [attempts("200", 10), arrived("200", 5), arrived("503", 5)]],
  ["gRPC says so", 0, [attempts("200", 10, { grpc_response_status: "14" }), arrived("200", 10)]],
  [
    "a client gave up, which tells nothing",
    100,
    [attempts("200", 10), attempts("0", 10, { response_flags: "-" }), arrived("200", 10)],
  ],
  [
    "the canary has no pod, so the primary is asked at once",
    0,
    [attempts("200", 10, { destination_workload: "shop-primary" })],
  ],
  [
    "another canary fails",
    100,
    [
      ...[attempts("200", 10), arrived("200", 10)],
      attempts("500", 10, { shield: "shield|80||shop-canary.other.svc.cluster.local" }),
    ],
  ],
  ["rescues are answered", 0, [attempts("500", 10), attempts("200", 10, { attempt: "2" })]],
  ["nobody scrapes the callers", 75, [arrived("200", 3), arrived("500", 1)]],
] as const)("the success rate behind a shield: %s", ([, expected, series]) => {
  expect(answer(rate, ...series)).toBeCloseTo(expected, 6);
});

test("without a series there is no answer", () => {
  expect(answer(rate)).toBeUndefined();
});

test("the slower of both sides is the duration", () => {
  const caller = (slow: boolean) =>
    buckets("fairlead_attempt_duration_milliseconds_bucket", { shield, attempt: "1" }, slow);
  const destination = (slow: boolean) =>
    buckets("istio_request_duration_milliseconds_bucket", { reporter: "destination" }, slow);
  const query = shieldQueries["request-duration"];
  expect(answer(query, ...caller(false), ...destination(false))).toBeLessThan(100);
  expect(answer(query, ...caller(true), ...destination(false))).toBeGreaterThan(400);
  expect(answer(query, ...caller(false), ...destination(true))).toBeGreaterThan(400);
});

test("an author's query of callers' requests is warned about, one of the canary's own is not", () => {
  expect(shieldWarning('sum(rate(istio_requests_total{reporter="source"}[1m]))')).toContain(
    "fairlead_attempts_total",
  );
  expect(shieldWarning("sum(rate(istio_requests_total[1m]))")).toBeDefined();
  expect(shieldWarning('sum(rate(istio_requests_total{reporter="destination"}[1m]))')).toBeUndefined();
  expect(shieldWarning("sum(rate(orders_total[1m]))")).toBeUndefined();
});
