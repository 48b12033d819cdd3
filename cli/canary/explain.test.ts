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

test("what a shield did for users is told of the last run as well", () => {
  const shield = { run: "r", rescued: 28, notRescued: 1 };
  expect(explain(canary({ phase: "Succeeded", lastTransitionTime: before, shield }), now)).toContain(
    "shield: the primary answered 28 users in the canary's place, 1 met its failure",
  );
});

test("a run under way is told with its checks and the judge's evidence", () => {
  const status: Canary["status"] = {
    phase: "Progressing",
    canaryWeight: 20,
    failedChecks: 2,
    lastTransitionTime: before,
    run: { id: "r", revision: "x", startedAt: before },
    checks: [
      { name: "request-success-rate", result: "failed", value: 97.234567, limit: ">= 99", samples: 1200 },
      {
        name: "queue",
        result: "inconclusive",
        limit: "<= 3",
        message: "prometheus: timeout",
        query: "max(q)",
      },
    ],
    analysis: {
      harm: 3.21,
      rollbackAt: 6.9078,
      worst: "request-success-rate",
      canary: "2.77 %",
      primary: "0.61 %",
      tests: [
        {
          name: "errors",
          metric: "request-success-rate",
          harm: 3.4,
          safe: -1,
          canary: "2.77 %",
          primary: "0.61 %",
          samples: 1200,
          dispersion: 1.4,
        },
      ],
    },
  };
  expect(explain(canary(status), now)).toEqual([
    "shop is at 20 % of the traffic for 30s: 2 of 5 failed checks; at the limit it is rolled back",
    "request-success-rate: failed, 97.23 (wanted >= 99) from 1200 requests",
    "queue: inconclusive, no value (wanted <= 3): prometheus: timeout",
    "  asked: max(q)",
    "evidence of harm: 3.21 of 6.908 (most by request-success-rate: canary 2.77 %, primary 0.61 %)",
    "  errors: canary 2.77 % of 1200 requests, primary 0.61 %; harm 3.4, safe -1; bad ones come 1.4 at once",
  ]);
});

test.for([
  [{}, "no check has been measured yet, nothing speaks against it"],
  [{ analysis: { reason: "evidence of safety 0.10 of 0.23" } }, "evidence of safety 0.10 of 0.23"],
  [{ checks: [{ name: "a", result: "passed" }] }, "all checks pass"],
  [{ checks: [{ name: "a", result: "inconclusive" }] }, "not all checks pass, none has failed"],
] as const)("a run with %j has passed no check that was not measured", ([part, told]) => {
  const status: Canary["status"] = {
    phase: "Progressing",
    canaryWeight: 5,
    lastTransitionTime: before,
    ...part,
    checks: "checks" in part ? [...part.checks] : [],
  };
  expect(explain(canary(status), now)[0]).toBe(`shop is at 5 % of the traffic for 30s: ${told}`);
});

test("a run on hold is told with what holds it", () => {
  const run = { id: "r", revision: "x", startedAt: before, heldSince: before };
  const held = (part: Partial<NonNullable<Canary["status"]>>) =>
    explain(canary({ phase: "Progressing", lastTransitionTime: before, run, ...part }), now)[0];
  expect(held({ checks: [{ name: "queue", result: "inconclusive" }] })).toMatch(
    /: held for 30s, as check queue is inconclusive$/,
  );
  expect(held({ analysis: { reason: "no requests reached the canary" } })).toMatch(
    /: held for 30s: no requests reached the canary$/,
  );
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
