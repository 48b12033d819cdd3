import fc from "fast-check";
import { expect, test } from "vitest";
import type { Deployment, ReplicaSet } from "../../../api/core.ts";
import { planProportionalScaling, wasScaled } from "./proportional-scaling.ts";

function web(replicas: number): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web" },
    spec: { replicas, selector: {}, template: {} },
  };
}

function replicaSet(name: string, replicas: number, desired: number, most: number): ReplicaSet {
  const annotations = {
    "deployment.kubernetes.io/desired-replicas": String(desired),
    "deployment.kubernetes.io/max-replicas": String(most),
  };
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name, annotations, creationTimestamp: `2026-01-01T00:00:0${name.length}Z` },
    spec: { replicas, selector: {} },
  };
}

const sizes = (replicas: number, fresh: ReplicaSet, old: readonly ReplicaSet[], surge = 3) =>
  planProportionalScaling(web(replicas), fresh, old, { surge, unavailable: 2 }).map((scale) => [
    scale.replicaSet.metadata.name,
    scale.replicas,
  ]);

test("in the middle of a rollout each version gets its share, as Kubernetes' documentation has it", () => {
  const [fresh, old] = [replicaSet("fresh", 5, 10, 13), replicaSet("old", 8, 10, 13)];
  expect(wasScaled(web(15), [fresh, old])).toBe(true);
  expect(wasScaled(web(10), [fresh, old])).toBe(false);
  expect(sizes(15, fresh, [old])).toEqual([
    ["old", 11],
    ["fresh", 7],
  ]);
  expect(sizes(0, fresh, [old])).toEqual([
    ["old", 0],
    ["fresh", 0],
  ]);
});

test("the only one that serves gets it all", () => {
  expect(sizes(7, replicaSet("fresh", 3, 3, 4), [replicaSet("old", 0, 3, 4)])).toEqual([["fresh", 7]]);
  expect(sizes(7, replicaSet("fresh", 0, 3, 4), [replicaSet("old", 3, 3, 4)])).toEqual([["old", 7]]);
});

test("never more than replicas and surge, nothing below zero", () => {
  const size = fc.integer({ min: 1, max: 20 });
  fc.assert(
    fc.property(
      size,
      size,
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 0, max: 5 }),
      (a, b, replicas, surge) => {
        const before = a + b;
        const scaled = sizes(
          replicas,
          replicaSet("fresh", a, before, before),
          [replicaSet("old", b, before, before)],
          surge,
        );
        const total = scaled.reduce((sum, [, count]) => sum + Number(count), 0);
        expect(total).toBe(replicas === 0 ? 0 : replicas + surge);
        expect(scaled.every(([, count]) => Number(count) >= 0)).toBe(true);
      },
    ),
  );
});
