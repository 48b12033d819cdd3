import { expect, test } from "vitest";
import { type Losses, lossesAfter, readShieldStatistic } from "./shield.ts";

const named = (code: string, attempt = "1", flags = "-", grpc = "") =>
  `fairlead.fairlead_attempts_total.shield.shield|80||shop-canary.demo.svc.cluster.local.attempt.${attempt}` +
  `.destination_workload.shop.v2.destination_workload_namespace.demo.response_code.${code}` +
  `.grpc_response_status.${grpc}.response_flags.${flags}`;

test.each([
  ["200", "1", "-", "", "succeeded", false],
  ["404", "1", "-", "", "succeeded", false],
  ["500", "1", "-", "", "failed", false],
  ["0", "1", "UF", "", "failed", false],
  ["0", "1", "UT", "", "failed", false],
  // The client went away.
  ["0", "1", "-", "", "given up", false],
  ["200", "1", "UPE", "", "failed", true],
  ["200", "1", "-", "14", "failed", false],
  ["200", "1", "-", "2", "failed", true],
  ["500", "2", "URX", "", "failed", true],
  ["200", "2", "-", "", "succeeded", false],
])(
  "an attempt with status %s, number %s, flags %s, gRPC %s has %5$s",
  (code, attempt, flags, grpc, answer, isLast) => {
    expect(readShieldStatistic(named(code, attempt, flags, grpc))).toEqual({
      host: "shop-canary.demo.svc.cluster.local",
      part: { kind: attempt === "1" ? "first" : "rescue", workload: "shop.v2" },
      answer,
      isLast,
    });
  },
);

test("other statistics tell nothing of shields", () => {
  for (const name of [
    "fairlead.istio_requests_total.reporter.source",
    named("200").replace("shield|", "outbound|"),
  ])
    expect(readShieldStatistic(name)).toBeUndefined();
});

/** What reports that grow by these failures, retries and last failures make known. */
function after(...reports: readonly (readonly [failed: number, retries: number, last?: number])[]): number {
  let losses: Losses | undefined;
  for (const [failed, retries, last = 0] of reports)
    losses = lossesAfter(losses, [
      { part: { kind: "first", workload: "shop" }, requests: failed, failed },
      { part: { kind: "retries" }, requests: retries, failed: 0 },
      { part: { kind: "lost" }, requests: last, failed: 0 },
    ]);
  return losses?.lost ?? 0;
}

test("users' failures are those that nothing can have followed, at once, and those that nothing has followed, a report later", () => {
  expect(after([10, 10], [10, 10])).toBe(0);
  // Counters that were read at different moments, whichever came first.
  expect(after([13, 0], [10, 23], [0, 0])).toBe(0);
  expect(after([10, 23], [13, 0], [0, 0])).toBe(0);
  expect(after([10, 7, 3])).toBe(3);
  expect(after([10, 7])).toBe(0);
  expect(after([10, 7], [0, 0])).toBe(3);
  expect(after([10, 7, 3], [5, 5], [0, 0])).toBe(3);
});
