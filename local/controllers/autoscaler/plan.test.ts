import { expect, test } from "vitest";
import type { HorizontalPodAutoscaler, Pod } from "../../../api/core.ts";
import type { ContainerUsage } from "../../node/usage/usage.ts";
import { planAutoscaler } from "./plan.ts";

const now = Date.parse("2026-01-01T01:00:00Z");
const cpu = {
  type: "Resource",
  resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 50 } },
};

function autoscaler(metrics: readonly object[] = [cpu]): HorizontalPodAutoscaler {
  return {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: { name: "web" },
    spec: {
      minReplicas: 1,
      maxReplicas: 5,
      scaleTargetRef: { kind: "Deployment", name: "web" },
      metrics: metrics as (typeof cpu)[],
    },
  };
}

function pod(uid: string, requests: Record<string, string> = { cpu: "100m" }, startedAgo = 600): Pod {
  const started = new Date(now - startedAgo * 1000).toISOString();
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: uid, uid },
    spec: { containers: [{ name: "web", resources: { requests } }] },
    status: {
      phase: "Running",
      startTime: started,
      conditions: [{ type: "Ready", status: "True", lastTransitionTime: started }],
    },
  };
}

const usage = (cores: number): ReadonlyMap<string, ContainerUsage> =>
  new Map([["web", { cores, memoryBytes: 1 << 20, window: 15_000, at: now }]]);

function plan(of: HorizontalPodAutoscaler, current: number, pods: readonly Pod[], cores = 0.1) {
  const usages = new Map(pods.map(({ metadata }) => [metadata.uid ?? "", usage(cores)]));
  const memory = { recommendations: [], changes: [] };
  return planAutoscaler({ autoscaler: of, current, pods, usages, memory, now });
}

test("says what it sees, what it wants and why", () => {
  expect(plan(autoscaler(), 2, [pod("a"), pod("b")])).toMatchObject({
    desired: 4,
    reason: "cpu resource utilization (percentage of request) above target",
    currentMetrics: [{ resource: { current: { averageUtilization: 100, averageValue: "100m" } } }],
    conditions: {
      AbleToScale: { reason: "ReadyForNewScale" },
      ScalingActive: { status: "True", reason: "ValidMetricFound" },
      ScalingLimited: { status: "False", reason: "DesiredWithinRange" },
    },
  });
});

test("without a request there is no share: nothing moves, and the pod is named", () => {
  const { desired, conditions, failures } = plan(autoscaler(), 2, [pod("a", {})]);
  expect([desired, conditions.ScalingActive?.reason]).toEqual([2, "FailedGetResourceMetric"]);
  expect(failures[0]?.message).toContain("missing request for cpu in container web of Pod a");
});

test("a metric that cannot be read lets the scale go up, never down", () => {
  const external = { type: "External", external: { metric: { name: "queue" }, target: {} } };
  expect(plan(autoscaler([cpu, external]), 2, [pod("a"), pod("b")]).desired).toBe(4);
  expect(plan(autoscaler([cpu, external]), 2, [pod("a"), pod("b")], 0.001).desired).toBe(2);
});

test("limits hold without metrics, and nothing scales a target that was scaled to zero", () => {
  expect(plan(autoscaler(), 9, []).desired).toBe(5);
  expect(plan(autoscaler(), 0, []).conditions.ScalingActive?.reason).toBe("ScalingDisabled");
});

test("the use of a pod that has just started says nothing", () => {
  expect(plan(autoscaler(), 1, [pod("a", { cpu: "100m" }, 5)], 9).conditions.ScalingActive?.status).toBe(
    "False",
  );
});
