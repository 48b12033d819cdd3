import { expect, test } from "vitest";
import { type BehaviorInput, limitReplicas } from "./behavior.ts";

const now = 1_000_000;

function limit(fields: Partial<BehaviorInput>) {
  const defaults = { behavior: undefined, minReplicas: 1, maxReplicas: 100, current: 10, desired: 10, now };
  return limitReplicas({ ...defaults, memory: { recommendations: [], changes: [] }, ...fields });
}

test("without a behavior: up by the double or four pods in 15 s, down to the highest of five minutes", () => {
  expect(limit({ desired: 90 })).toMatchObject({ replicas: 20, limited: { reason: "ScaleUpLimit" } });
  expect(limit({ current: 1, desired: 90 }).replicas).toBe(5);
  const changes = [{ at: now - 5000, by: 10 }];
  expect(limit({ current: 20, desired: 90, memory: { recommendations: [], changes } }).replicas).toBe(20);
  const recommendations = [{ at: now - 200_000, replicas: 7 }];
  expect(limit({ desired: 2, memory: { recommendations, changes: [] } })).toMatchObject({
    replicas: 7,
    stabilized: { reason: "ScaleDownStabilized" },
  });
  const old = [{ at: now - 400_000, replicas: 7 }];
  expect(limit({ desired: 2, memory: { recommendations: old, changes: [] } }).replicas).toBe(2);
});

test("never beyond the least and the most", () => {
  expect(limit({ desired: 15, maxReplicas: 12 })).toMatchObject({
    replicas: 12,
    limited: { reason: "TooManyReplicas" },
  });
  expect(limit({ desired: 0, minReplicas: 3 })).toMatchObject({
    replicas: 3,
    limited: { reason: "TooFewReplicas" },
  });
});

test("policies set the speed; Min takes the slowest, Disabled stands still", () => {
  const policies = [
    { type: "Pods", value: 1, periodSeconds: 60 },
    { type: "Percent", value: 50, periodSeconds: 60 },
  ];
  const down = (selectPolicy: string) =>
    limit({ desired: 1, behavior: { scaleDown: { stabilizationWindowSeconds: 0, selectPolicy, policies } } });
  expect(down("Max").replicas).toBe(5);
  expect(down("Min")).toMatchObject({ replicas: 9, limited: { reason: "ScaleDownLimit" } });
  expect(down("Disabled").replicas).toBe(10);
});

test("a window on the way up takes the lowest of its recommendations", () => {
  const recommendations = [{ at: now - 1000, replicas: 11 }];
  const behavior = { scaleUp: { stabilizationWindowSeconds: 30 } };
  expect(limit({ desired: 15, behavior, memory: { recommendations, changes: [] } })).toMatchObject({
    replicas: 11,
    stabilized: { reason: "ScaleUpStabilized" },
  });
});
