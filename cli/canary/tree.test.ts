import { expect, test } from "vitest";
import type { Event, Pod } from "../../api/core.ts";
import type { Canary } from "../../api/kinds.ts";
import { inOrder } from "../event/row.ts";
import { clip } from "../output/clip.ts";
import { type RolloutView, rolloutTree, type Side } from "./tree.ts";

const now = Date.parse("2026-01-01T00:01:00Z");

function pod(name: string, created: string): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "demo", name, creationTimestamp: created },
    status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
  };
}

function event(message: string, lastTimestamp: string, resourceVersion: string): Event {
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { namespace: "demo", name: message, resourceVersion },
    involvedObject: { kind: "Canary", name: "shop" },
    message,
    lastTimestamp,
  };
}

const canary: Canary = {
  apiVersion: "flagger.app/v1beta1",
  kind: "Canary",
  metadata: { namespace: "demo", name: "shop" },
  spec: {
    targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
    service: { port: 80 },
    analysis: { interval: "10s", threshold: 5, stepWeights: [50] },
  },
  status: {
    phase: "Progressing",
    canaryWeight: 50,
    failedChecks: 1,
    lastTransitionTime: "2026-01-01T00:00:58Z",
    run: {
      id: "r1",
      revision: "v2:1",
      startedAt: "2026-01-01T00:00:30.000Z",
      tickedAt: "2026-01-01T00:00:58.000Z",
    },
  },
};

const side = (workload: string, replicas: number, pods: readonly Pod[]): Side => ({
  workload,
  image: "shop:2",
  replicas,
  pods,
});

const view: RolloutView = {
  canary,
  primary: side("shop-primary", 2, [pod("shop-primary-a", "2026-01-01T00:00:00Z")]),
  target: side("shop", 0, [pod("shop-a", "2026-01-01T00:00:40Z")]),
  events: [event("Advance shop.demo canary weight 50", "2026-01-01T00:00:58Z", "9")],
  now,
};

test("a rollout is a tree of both sides, checks and events", () => {
  expect(rolloutTree(view)).toEqual([
    "demo/shop  Progressing run of 30s  ████████████░░░░░░░░░░░░ 50 %  next check in 8s",
    "├─ primary  shop-primary   50 %  1/2 ready  shop:2",
    "│  └─ shop-primary-a  Ready  60s",
    "├─ canary   shop   50 %  1 ready, 0 wanted  shop:2",
    "│  └─ shop-a  Ready  20s",
    "├─ checks   1 of 5 failed",
    "└─ events",
    "   └─    2s  Advance shop.demo canary weight 50",
  ]);
});

test("a server that does not answer is told", () => {
  expect(rolloutTree({ ...view, unanswered: 4200 })[1]).toBe("the API server has not answered for 4s");
});

test("events of one second stand in the order of their writes", () => {
  const same = "2026-01-01T00:00:58Z";
  const events = [event("second", same, "10"), event("first", same, "9"), event("third", same, "11")];
  expect(inOrder(events).map(({ message }) => message)).toEqual(["first", "second", "third"]);
});

test("a line is cut to the width, and says so", () => {
  expect(clip("\u001b[31mabcdef\u001b[0m", 6)).toBe("\u001b[31mabcdef\u001b[0m");
  expect(clip("\u001b[31mabcdef\u001b[0m", 4)).toBe("\u001b[31mabc\u001b[0m…");
});
