import { expect, test } from "vitest";
import type { Pod, PodDisruptionBudget } from "../../../api/core.ts";
import { planDisruptionBudget } from "./plan.ts";

function pod(name: string, ready = true): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    status: { phase: "Running", conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
  };
}

const three = [pod("a"), pod("b"), pod("c", false)];

function plan(
  spec: NonNullable<PodDisruptionBudget["spec"]>,
  pods = three,
  replicas: number | undefined = 4,
) {
  const budget: PodDisruptionBudget = {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: "web" },
    spec,
  };
  return planDisruptionBudget({ budget, pods, ownerOf: () => ({ uid: "d", replicas }) });
}

const counts = (healthy: number, desired: number, expected: number, allowed: number) => ({
  kind: "counted",
  counts: {
    ...{ currentHealthy: healthy, desiredHealthy: desired },
    ...{ expectedPods: expected, disruptionsAllowed: allowed },
  },
});

test("a number is of the pods there are, a percentage of those that are wanted", () => {
  expect(plan({ minAvailable: 1 })).toEqual(counts(2, 1, 3, 1));
  expect(plan({ minAvailable: "50%" })).toEqual(counts(2, 2, 4, 0));
  expect(plan({ maxUnavailable: 3 })).toEqual(counts(2, 1, 4, 1));
  expect(plan({ maxUnavailable: "30%" })).toEqual(counts(2, 2, 4, 0));
  expect(plan({ minAvailable: 1 }, [])).toEqual(counts(0, 1, 0, 0));
});

test("pods without a controller have no share", () => {
  const budget: PodDisruptionBudget = {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: "web" },
    spec: { maxUnavailable: 1 },
  };
  expect(planDisruptionBudget({ budget, pods: three, ownerOf: () => undefined })).toEqual({
    kind: "failed",
    message: 'found no controller ref for pod "a"',
  });
});
