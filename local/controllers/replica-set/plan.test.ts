import { expect, test } from "vitest";
import type { Pod, ReplicaSet } from "../../../api/core.ts";
import { planReplicaSet } from "./plan.ts";

const now = Date.parse("2026-01-01T00:01:00Z");

function replicaSet(replicas: number, minReadySeconds = 0): ReplicaSet {
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name: "web", generation: 4 },
    spec: { replicas, minReadySeconds, selector: {}, template: { metadata: { labels: { app: "web" } } } },
  };
}

function pod(name: string, readySeconds: number | undefined, fields: Partial<Pod["metadata"]> = {}): Pod {
  const lastTransitionTime = new Date(now - (readySeconds ?? 0) * 1000).toISOString();
  const ready = { type: "Ready", status: readySeconds === undefined ? "False" : "True", lastTransitionTime };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { app: "web" }, ...fields },
    spec: { containers: [], nodeName: "n" },
    status: { phase: "Running", conditions: [ready] },
  };
}

test("pods that are over or going do not count, and are replaced", () => {
  const owned = [pod("a", 5), pod("going", 5, { deletionTimestamp: "2026-01-01T00:00:00Z" })];
  const over: Pod = { ...pod("over", undefined), status: { phase: "Failed" } };
  expect(planReplicaSet(replicaSet(3), [...owned, over], now)).toMatchObject({
    create: 2,
    remove: [],
    status: { replicas: 1, readyReplicas: 1 },
  });
});

test("too many: the unready goes first, then the cheapest, then the one ready for the shortest time", () => {
  const cheap = { annotations: { "controller.kubernetes.io/pod-deletion-cost": "-1" } };
  const pods = [pod("old", 50), pod("young", 5), pod("cheap", 50, cheap), pod("unready", undefined)];
  const names = (replicas: number) =>
    planReplicaSet(replicaSet(replicas), pods, now).remove.map(({ metadata }) => metadata.name);
  expect(names(3)).toEqual(["unready"]);
  expect(names(1)).toEqual(["unready", "cheap", "young"]);
});

test("a pod is available after minReadySeconds of being ready, and the plan says when", () => {
  const plan = planReplicaSet(replicaSet(2, 10), [pod("a", 10), pod("b", 4)], now);
  expect(plan).toMatchObject({ recheckAt: now + 6000, status: { readyReplicas: 2, availableReplicas: 1 } });
});

test("a ReplicaSet that is being deleted makes no pods", () => {
  const deleting = { ...replicaSet(3), metadata: { name: "web", deletionTimestamp: "2026-01-01T00:00:00Z" } };
  expect(planReplicaSet(deleting, [], now).create).toBe(0);
});
