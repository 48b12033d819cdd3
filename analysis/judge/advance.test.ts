import fc from "fast-check";
import { expect, test } from "vitest";
import type { Check } from "../checks/types.ts";
import { type AdvanceInput, advance } from "./advance.ts";
import type { AdvanceSettings, Judgement, Progress } from "./types.ts";

const settings: AdvanceSettings = {
  rule: "flagger",
  steps: [10, 20, 50],
  threshold: 3,
  noData: "hold",
  providerErrors: "hold",
  deadline: 4 * 3_600_000,
  onInconclusive: "hold",
};
const judged: Judgement = {
  at: 0,
  harm: 0,
  rollbackAt: 4.6,
  safe: 3,
  promoteAt: 2.3,
  verdict: "none",
  mayStep: true,
  mayPromote: true,
  worst: "request-success-rate",
  reason: "fine",
  tests: [],
};
const passed: Check = { name: "a", kind: "passed", threshold: ">= 99", value: 100, reason: "a 100" };
const failed: Check = { name: "b", kind: "failed", threshold: ">= 99", value: 90, reason: "b 90 < 99" };
const noData: Check = {
  name: "c",
  kind: "inconclusive",
  cause: "no-data",
  threshold: "",
  reason: "no values found for metric c",
};
const unreachable: Check = {
  name: "d",
  kind: "inconclusive",
  cause: "provider-error",
  threshold: "",
  reason: "prometheus: no answer",
};

function advise(
  part: Partial<Omit<AdvanceInput, "settings" | "progress">> & {
    settings?: Partial<AdvanceSettings>;
    progress?: Partial<Progress>;
  },
) {
  return advance({
    judgement: undefined,
    checks: [passed],
    now: 1_000_000,
    ...part,
    settings: { ...settings, ...part.settings },
    progress: { weight: 10, failedChecks: 0, ...part.progress },
  });
}

test("passed checks step to the next weight, and promote at the last", () => {
  expect(advise({})).toMatchObject({ kind: "step", weight: 20 });
  expect(advise({ progress: { weight: 15 } })).toMatchObject({ kind: "step", weight: 20 });
  expect(advise({ progress: { weight: 50 } })).toMatchObject({ kind: "promote" });
});

test("a failed check holds and counts, once a tick, and is never forgiven", () => {
  expect(advise({ checks: [passed, failed, failed] })).toMatchObject({
    kind: "hold",
    failedChecks: 1,
    reason: failed.reason,
  });
  expect(advise({ progress: { failedChecks: 1 } })).toMatchObject({ kind: "step", failedChecks: 1 });
});

test("the check that reaches the threshold rolls back at once", () => {
  const advice = advise({ checks: [failed], progress: { failedChecks: 2 } });
  expect(advice).toMatchObject({ kind: "roll-back", failedChecks: 3 });
  expect(advice.reason).toBe("failed checks threshold reached 3: b 90 < 99");
});

test("no data and provider errors hold without counting, or fail where the canary asks for Flagger's rule", () => {
  expect(advise({ checks: [passed, noData] })).toMatchObject({
    kind: "hold",
    failedChecks: 0,
    heldSince: 1_000_000,
  });
  expect(advise({ checks: [unreachable] })).toMatchObject({ kind: "hold", failedChecks: 0 });
  expect(advise({ checks: [noData], settings: { noData: "fail" } })).toMatchObject({
    kind: "hold",
    failedChecks: 1,
  });
  expect(advise({ checks: [noData], settings: { providerErrors: "fail" } })).toMatchObject({
    failedChecks: 0,
  });
  expect(advise({ checks: [unreachable], settings: { providerErrors: "fail", threshold: 1 } })).toMatchObject(
    { kind: "roll-back" },
  );
});

test("what is held past its deadline does what the canary says", () => {
  const late = { checks: [noData], progress: { heldSince: 1_000_000 - settings.deadline } };
  expect(advise(late)).toMatchObject({ kind: "hold", stalled: true });
  expect(advise({ ...late, settings: { onInconclusive: "rollback" } })).toMatchObject({ kind: "roll-back" });
  expect(advise({ ...late, settings: { onInconclusive: "promote" } })).toMatchObject({ kind: "promote" });
  expect(advise({ ...late, checks: [failed], settings: { onInconclusive: "promote" } })).toMatchObject({
    kind: "hold",
  });
});

test("a rollback verdict comes before everything, also between two ticks", () => {
  const judgement: Judgement = {
    ...judged,
    verdict: "rollback",
    mayStep: false,
    mayPromote: false,
    reason: "errors",
  };
  expect(advise({ judgement })).toMatchObject({ kind: "roll-back", reason: "errors" });
  expect(advise({ judgement, checks: undefined })).toMatchObject({ kind: "roll-back" });
});

test("between two ticks nothing else moves a run", () => {
  expect(advise({ checks: undefined, judgement: judged })).toMatchObject({
    kind: "hold",
    heldSince: undefined,
  });
});

test("with sequential a step needs the judge's leave; the first weight needs none", () => {
  const held: Judgement = {
    ...judged,
    mayStep: false,
    mayPromote: false,
    reason: "not yet shown to be safe",
  };
  const rule = { rule: "sequential" } as const;
  expect(advise({ settings: rule, judgement: held })).toMatchObject({ kind: "hold", reason: held.reason });
  expect(advise({ settings: rule })).toMatchObject({ kind: "hold", reason: "no evidence yet" });
  expect(advise({ settings: rule, judgement: judged })).toMatchObject({ kind: "step" });
  expect(
    advise({ settings: rule, judgement: { ...judged, mayPromote: false }, progress: { weight: 50 } }),
  ).toMatchObject({ kind: "hold" });
  expect(advise({ settings: rule, checks: [], progress: { weight: 0 } })).toMatchObject({
    kind: "step",
    weight: 10,
  });
});

test("only passed checks raise exposure, amber holds, and no advice lowers the count of failures", () => {
  const check = fc.constantFrom(passed, failed, noData, unreachable);
  const verdict = fc.constantFrom("none", "amber", "rollback" as const);
  fc.assert(
    fc.property(
      fc.array(check),
      verdict,
      fc.nat(4),
      fc.constantFrom(0, 10, 50),
      fc.boolean(),
      (checks, found, failedChecks, weight, fails) => {
        const may = found === "none";
        const advice = advise({
          checks,
          judgement: { ...judged, verdict: found, mayStep: may, mayPromote: may },
          settings: { rule: "sequential", ...(fails ? { noData: "fail", providerErrors: "fail" } : {}) },
          progress: { weight, failedChecks },
        });
        if (advice.kind === "step" || advice.kind === "promote") {
          expect(checks.every(({ kind }) => kind === "passed")).toBe(true);
          expect(found === "none" || weight === 0).toBe(true);
        }
        expect(advice.failedChecks).toBeGreaterThanOrEqual(failedChecks);
        if (found === "rollback") expect(advice.kind).toBe("roll-back");
      },
    ),
  );
});
