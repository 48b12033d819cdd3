/** A target that KEDA scales: paused between runs, free in them, and a ScaledObject of its own for the primary. */
import { expect, test } from "vitest";
import { type Deployment, DeploymentKind } from "../../api/core.ts";
import type { AutoscalerRef } from "../../api/generated/canaries.ts";
import type { Canary } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/resource.ts";
import { scaleTo } from "../testing/autoscaler.ts";
import { canary, deployment } from "../testing/cluster.ts";
import { ended, passing, simulate, weightIs } from "../testing/simulate.ts";
import { createWorld, type World } from "../testing/world.ts";
import { type ScaledObject, ScaledObjectKind } from "./scaled-object.ts";

const pausedReplicas = "autoscaling.keda.sh/paused-replicas";

const query = 'sum(rate(requests{app="shop",svc="shop-canary"}[1m])) / count(up{app="bookshop"})';
const scaledObject = {
  apiVersion: "keda.sh/v1alpha1",
  kind: "ScaledObject",
  metadata: {
    name: "shop",
    namespace: "default",
    labels: { team: "a", "scaledobject.keda.sh/name": "shop" },
    annotations: { note: "x", "kubectl.kubernetes.io/last-applied-configuration": "{}" },
  },
  spec: {
    scaleTargetRef: { kind: "Deployment", name: "shop" },
    minReplicaCount: 3,
    maxReplicaCount: 6,
    idleReplicaCount: 1,
    advanced: { horizontalPodAutoscalerConfig: { name: "shop-hpa" } },
    triggers: [
      { type: "prometheus", name: "load", metadata: { threshold: "5", query } },
      { type: "prometheus", name: "queue", metadata: { query: "depth" } },
      { type: "cron", metadata: { start: "0 8 * * *" } },
    ],
  },
};

async function initialized(autoscaler: Partial<AutoscalerRef> = {}): Promise<World> {
  const world = createWorld();
  world.put(scaledObject as KubeObject);
  world.put(deployment("shop", "app:1"));
  const made = canary("shop", { interval: "1s", threshold: 1, stepWeights: [20, 60] });
  const ref = { apiVersion: "keda.sh/v1alpha1", kind: "ScaledObject", name: "shop", ...autoscaler } as const;
  world.put({ ...made, spec: { ...made.spec, revertOnDeletion: true, autoscalerRef: ref } } as Canary);
  await simulate(world, passing).run(({ phase }) => phase === "Initialized");
  return world;
}

const find = (world: World, name: string): ScaledObject | undefined =>
  world.snapshot().get(ScaledObjectKind, "default", name);
const paused = (world: World) => find(world, "shop")?.metadata.annotations?.[pausedReplicas];
const replicas = (world: World) => world.snapshot().get(DeploymentKind, "default", "shop")?.spec?.replicas;

test("the primary's scaler asks for the primary, under names of its own, and follows edits without a run", async () => {
  const world = await initialized({
    primaryScalerQueries: { queue: "primary_depth" },
    primaryScalerReplicas: { minReplicas: 2, maxReplicas: 9 },
  });
  const primary = find(world, "shop-primary");
  expect(primary?.metadata).toMatchObject({ labels: { team: "a" }, annotations: { note: "x" } });
  expect(Object.keys({ ...primary?.metadata.labels, ...primary?.metadata.annotations })).toEqual([
    "team",
    "note",
  ]);
  expect(primary?.metadata.ownerReferences?.[0]).toMatchObject({ kind: "Canary", controller: true });
  expect(primary?.spec).toEqual({
    scaleTargetRef: { kind: "Deployment", name: "shop-primary" },
    minReplicaCount: 2,
    maxReplicaCount: 9,
    idleReplicaCount: 1,
    advanced: { horizontalPodAutoscalerConfig: { name: "shop-hpa-primary" } },
    triggers: [
      {
        type: "prometheus",
        name: "load",
        metadata: {
          threshold: "5",
          query: 'sum(rate(requests{app="shop-primary",svc="shop-primary"}[1m])) / count(up{app="bookshop"})',
        },
      },
      { type: "prometheus", name: "queue", metadata: { query: "primary_depth" } },
      { type: "cron", metadata: { start: "0 8 * * *" } },
    ],
  });
  world.edit(ScaledObjectKind, "shop", (object) => ({
    ...object,
    spec: { ...object.spec, scaleTargetRef: { name: "shop" }, triggers: [] },
  }));
  await simulate(world, passing).turn();
  expect(find(world, "shop-primary")?.spec?.triggers).toEqual([]);
  expect(world.canary().status?.phase).toBe("Initialized");
});

test("KEDA is paused at rest and free in a run, before the pods are asked for", async () => {
  const world = await initialized();
  expect(paused(world)).toBe("0");
  expect(replicas(world)).toBe(0);
  const writes: string[] = [];
  world.onWrite = (after) => {
    const { annotations, name } = after.metadata;
    if (name !== "shop") return;
    if (after.kind === "ScaledObject") writes.push(`paused ${annotations?.[pausedReplicas] ?? "no more"}`);
    if (after.kind === "Deployment") writes.push(`replicas ${(after as Deployment).spec?.replicas}`);
  };
  world.edit(DeploymentKind, "shop", (object) =>
    JSON.parse(JSON.stringify(object).replace("app:1", "app:2")),
  );
  const simulation = simulate(world, passing);
  await simulation.run(weightIs(20));
  expect(writes).toEqual(["paused no more", "replicas 3"]);
  // The primary is kept at what it had, so that it can take all traffic back.
  expect(find(world, "shop-primary")?.spec).toMatchObject({ minReplicaCount: 3, idleReplicaCount: 1 });
  await simulation.run(({ phase }) => phase === "Promoting");
  scaleTo(world, "shop-primary", 5);
  await simulation.run(ended);
  expect(writes.slice(2)).toEqual(["paused 0", "replicas 0"]);
  for (let turn = 0; turn < 3; turn++) await simulation.turn();
  expect(world.canary().status?.phase).toBe("Succeeded");
});

test("a pause that somebody took away comes back, and one is left to nobody when the Canary goes", async () => {
  const world = await initialized();
  world.edit(ScaledObjectKind, "shop", (object) => ({
    ...object,
    metadata: { ...object.metadata, annotations: {} },
  }));
  const simulation = simulate(world, passing);
  await simulation.turn();
  expect(paused(world)).toBe("0");
  const { metadata, ...rest } = world.canary();
  world.put({ ...rest, metadata: { ...metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } });
  for (let turn = 0; turn < 4; turn++) await simulation.turn();
  expect(paused(world)).toBeUndefined();
  expect(replicas(world)).toBeGreaterThan(0);
  expect(world.canary().metadata.finalizers).toEqual([]);
});

test("a primary that KEDA would shrink keeps its pods while a run lives, idle or not", async () => {
  const world = await initialized();
  scaleTo(world, "shop-primary", 5);
  world.edit(DeploymentKind, "shop", (object) =>
    JSON.parse(JSON.stringify(object).replace("app:1", "app:2")),
  );
  const simulation = simulate(world, passing);
  await simulation.run(weightIs(60));
  expect(find(world, "shop-primary")?.spec).toMatchObject({ minReplicaCount: 5 });
  expect(find(world, "shop-primary")?.spec).not.toHaveProperty("idleReplicaCount");
  await simulation.run(({ phase }) => phase === "Promoting");
  for (let turn = 0; turn < 3; turn++) await simulation.turn();
  // Five and the canary's three, but its maximum is six: more is not waited for.
  expect(find(world, "shop-primary")?.spec).toMatchObject({ minReplicaCount: 6 });
  scaleTo(world, "shop-primary", 6);
  await simulation.run(ended);
});
