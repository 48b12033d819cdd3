import { expect, test } from "vitest";
import type { DaemonSet, Node, Pod } from "../../../api/core.ts";
import { belongsOn } from "./nodes.ts";
import { planDaemonSet } from "./plan.ts";

const now = Date.parse("2026-01-01T00:10:00Z");

function daemonSet(
  fields: Partial<NonNullable<DaemonSet["spec"]>> = {},
  spec: Partial<NonNullable<Pod["spec"]>> = {},
): DaemonSet {
  return {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { name: "agent", generation: 1 },
    spec: { selector: {}, template: { spec: { containers: [], ...spec } }, ...fields },
  };
}

function node(name: string, fields: Partial<Node> = {}): Node {
  return { apiVersion: "v1", kind: "Node", metadata: { name }, ...fields };
}

function pod(nodeName: string, hash = "old", ready = true): Pod {
  const lastTransitionTime = new Date(now - 5000).toISOString();
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `${nodeName}-${hash}`, labels: { "controller-revision-hash": hash } },
    spec: { containers: [], nodeName },
    status: {
      phase: "Running",
      conditions: [{ type: "Ready", status: ready ? "True" : "False", lastTransitionTime }],
    },
  };
}

const nodes = ["a", "b", "c"].map((name) => node(name));
const names = (pods: readonly Pod[]) => pods.map(({ metadata }) => metadata.name);

test("each node gets one pod, a node that is not meant loses it", () => {
  const plan = planDaemonSet({
    daemonSet: daemonSet(),
    nodes,
    pods: [pod("a"), pod("gone")],
    hash: "old",
    now,
  });
  expect(plan.create).toEqual(["b", "c"]);
  expect(names(plan.remove)).toEqual(["gone-old"]);
  expect(plan.status).toMatchObject({
    desiredNumberScheduled: 3,
    currentNumberScheduled: 1,
    numberMisscheduled: 1,
    numberAvailable: 1,
    numberUnavailable: 2,
  });
});

test("an update takes one node at a time, the broken ones first", () => {
  const removed = (pods: readonly Pod[], set = daemonSet()) =>
    names(planDaemonSet({ daemonSet: set, nodes, pods, hash: "new", now }).remove);
  expect(removed([pod("a"), pod("b"), pod("c")])).toEqual(["a-old"]);
  expect(removed([pod("a", "new", false), pod("b"), pod("c")])).toEqual([]);
  expect(removed([pod("a"), pod("b", "old", false), pod("c")])).toEqual(["b-old"]);
  const half = daemonSet({ updateStrategy: { rollingUpdate: { maxUnavailable: "50%" } } });
  expect(removed([pod("a"), pod("b"), pod("c")], half)).toEqual(["a-old", "b-old"]);
  expect(
    removed([pod("a"), pod("b"), pod("c")], daemonSet({ updateStrategy: { type: "OnDelete" } })),
  ).toEqual([]);
});

test("with a surge the new pod comes first, the old one goes when it is available", () => {
  const surging = daemonSet({ updateStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } });
  const plan = (pods: readonly Pod[]) => {
    const { create, remove } = planDaemonSet({ daemonSet: surging, nodes, pods, hash: "new", now });
    return [create, names(remove)];
  };
  const old = [pod("a"), pod("b"), pod("c")];
  expect(plan(old)).toEqual([["a"], []]);
  expect(plan([...old, pod("a", "new", false)])).toEqual([[], []]);
  expect(plan([...old, pod("a", "new")])).toEqual([[], ["a-old"]]);
});

test("a node is meant by nodeSelector and tolerated taints", () => {
  const fast = node("fast", { metadata: { name: "fast", labels: { disk: "fast" } } });
  expect(belongsOn(daemonSet({}, { nodeSelector: { disk: "fast" } }), fast)).toBe(true);
  expect(belongsOn(daemonSet({}, { nodeSelector: { disk: "slow" } }), fast)).toBe(false);
  const tainted = node("t", { spec: { taints: [{ key: "gpu", value: "yes", effect: "NoSchedule" }] } });
  expect(belongsOn(daemonSet(), tainted)).toBe(false);
  expect(belongsOn(daemonSet({}, { tolerations: [{ key: "gpu", value: "yes" }] }), tainted)).toBe(true);
  expect(belongsOn(daemonSet({}, { tolerations: [{ operator: "Exists" }] }), tainted)).toBe(true);
  const cordoned = node("c", {
    spec: { taints: [{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }] },
  });
  expect(belongsOn(daemonSet(), cordoned)).toBe(true);
});
