import { expect, test } from "vitest";
import type { Canary } from "../../api/kinds.ts";
import { outcomeOf } from "./outcome.ts";

const target = { uid: "u", generation: 3 };

function canary(status: Canary["status"], generation = 1): Canary {
  return {
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: "shop", namespace: "demo", generation },
    spec: { targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" } },
    ...(status && { status }),
  };
}

const kind = (status: Canary["status"], ran = false, generation = 1) =>
  outcomeOf(canary(status, generation), target, ran).kind;

test("a status about the target as it is now counts", () => {
  expect(kind({ phase: "Succeeded", lastTrackedRevision: "u/3" })).toBe("promoted");
  expect(kind({ phase: "Initialized", lastTrackedRevision: "u/3" })).toBe("promoted");
  expect(
    kind({ phase: "Failed", lastTrackedRevision: "u/3", failure: { reason: "Harm", message: "m" } }),
  ).toBe("rolled-back");
});

test("yesterday's success is not taken for today's", () => {
  expect(kind({ phase: "Succeeded", lastTrackedRevision: "u/2" })).toBe("not-started");
  expect(kind({ phase: "Failed", lastTrackedRevision: "other/3" })).toBe("not-started");
  expect(kind({ phase: "Succeeded", lastTrackedRevision: "u/3", observedGeneration: 1 }, false, 2)).toBe(
    "not-started",
  );
});

test("a run that was seen ends with the status it left, though the target was scaled since", () => {
  expect(kind({ phase: "Failed", lastTrackedRevision: "u/2" }, true)).toBe("rolled-back");
  expect(kind({ phase: "Succeeded", lastTrackedRevision: "u/2" }, true)).toBe("promoted");
});

test("Flagger's own status, which has no generations, counts as it stands", () => {
  expect(kind({ phase: "Succeeded", lastTrackedRevision: "6dbc7c5f4d" })).toBe("promoted");
});

test("what runs, and what nobody has seen", () => {
  for (const phase of ["Waiting", "Progressing", "WaitingPromotion", "Promoting", "Finalising"] as const)
    expect(kind({ phase })).toBe("running");
  expect(outcomeOf(canary(undefined), target, false)).toEqual({
    kind: "not-started",
    why: "no controller has seen it: is one running?",
  });
});
