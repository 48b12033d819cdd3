import fc from "fast-check";
import { expect, test } from "vitest";
import type { Deployment, ReplicaSet } from "../../../api/core.ts";
import { rolloutLimits } from "./limits.ts";
import { planRollingUpdate } from "./rolling-update.ts";

interface Pods {
  /** What the ReplicaSet asks for, and how many of its pods there are and are available. */
  wanted: number;
  running: number;
  available: number;
}

function replicaSet(name: string, { wanted, available }: Pods): ReplicaSet {
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name },
    spec: { replicas: wanted, selector: {}, template: {} },
    status: { replicas: wanted, availableReplicas: available },
  };
}

const count = fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constantFrom("0%", "25%", "50%", "100%"));

test("a rolling update keeps to its limits at every step, and arrives", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      count,
      count,
      fc.infiniteStream(fc.boolean()),
      (replicas, maxSurge, maxUnavailable, coins) => {
        const deployment: Deployment = {
          apiVersion: "apps/v1",
          kind: "Deployment",
          metadata: { name: "web" },
          spec: {
            replicas,
            selector: {},
            template: {},
            strategy: { rollingUpdate: { maxSurge, maxUnavailable } },
          },
        };
        const limits = rolloutLimits(deployment);
        const fresh: Pods = { wanted: 0, running: 0, available: 0 };
        const old: Pods = { wanted: replicas, running: replicas, available: replicas };
        for (let round = 0; round < 200; round++) {
          const scales = planRollingUpdate(
            replicaSet("new", fresh),
            [replicaSet("old", old)],
            replicas,
            limits,
          );
          for (const scale of scales)
            (scale.replicaSet.metadata.name === "new" ? fresh : old).wanted = scale.replicas;
          expect(fresh.wanted + old.wanted).toBeLessThanOrEqual(replicas + limits.surge);
          for (const pods of [fresh, old]) {
            pods.running = pods.wanted;
            pods.available = Math.min(pods.available, pods.running);
            // A pod becomes ready when it likes to.
            if (pods.available < pods.running && coins.next().value) pods.available += 1;
          }
          expect(fresh.available + old.available).toBeGreaterThanOrEqual(replicas - limits.unavailable);
        }
        expect([fresh.available, old.wanted]).toEqual([replicas, 0]);
      },
    ),
    { numRuns: 200 },
  );
});

test("a version that never becomes ready takes no more than maxUnavailable from the old one", () => {
  const limits = { surge: 1, unavailable: 0 };
  const fresh = { wanted: 1, running: 1, available: 0 };
  const old = { wanted: 4, running: 4, available: 4 };
  expect(planRollingUpdate(replicaSet("new", fresh), [replicaSet("old", old)], 4, limits)).toEqual([]);
});
