import { expect, test } from "vitest";
import type { Canary } from "../../api/kinds.ts";
import { explain } from "./explain.ts";

const now = Date.parse("2026-01-01T00:01:00Z");
const before = "2026-01-01T00:00:30Z";

function canary(status: Canary["status"]): Canary {
  return {
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: "shop", namespace: "demo" },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      analysis: { threshold: 5 },
    },
    ...(status && { status }),
  };
}

test("a rollback is told with its evidence, and without checks that say nothing any more", () => {
  const failure = { reason: "TripWire", message: "10 of 10 attempts failed in 0.6 s", at: before };
  const checks = [{ name: "request-success-rate", result: "passed" as const }];
  expect(explain(canary({ phase: "Failed", failure, checks }), now)).toEqual([
    "shop was rolled back 30s ago: TripWire: 10 of 10 attempts failed in 0.6 s",
  ]);
});

test("a run under way is told with its checks and the judge's evidence", () => {
  const status: Canary["status"] = {
    phase: "Progressing",
    canaryWeight: 20,
    failedChecks: 2,
    lastTransitionTime: before,
    run: { id: "r", revision: "x", startedAt: before },
    checks: [{ name: "request-success-rate", result: "failed", value: 97.234567, limit: ">= 99" }],
    analysis: {
      harm: 3.21,
      rollbackAt: 6.9078,
      worst: "request-success-rate",
      canary: "2.77 %",
      primary: "0.61 %",
    },
  };
  expect(explain(canary(status), now)).toEqual([
    "shop is at 20 % of the traffic for 30s: 2 of 5 failed checks; at the limit it is rolled back",
    "request-success-rate: failed, 97.23 (wanted >= 99)",
    "evidence of harm: 3.21 of 6.908 (most by request-success-rate: canary 2.77 %, primary 0.61 %)",
  ]);
});

test("what holds a canary that no run moves is said", () => {
  const conditions = [
    {
      type: "Stalled",
      status: "True" as const,
      reason: "TargetNotFound",
      message: "deployment shop not found",
    },
  ];
  expect(explain(canary({ phase: "Initializing", conditions }), now)).toContain(
    "stalled: TargetNotFound: deployment shop not found",
  );
  expect(explain(canary(undefined), now)[0]).toMatch(/is one running\?/);
});
