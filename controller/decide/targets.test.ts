/** Targets of each kind, from their first sight to the day their Canary is deleted. */
import { expect, test } from "vitest";
import {
  type DaemonSet,
  DaemonSetKind,
  ServiceKind,
  type StatefulSet,
  StatefulSetKind,
} from "../../api/core.ts";
import type { Canary } from "../../api/kinds.ts";
import type { Kind, KubeObject } from "../../api/resource.ts";
import { canary } from "../testing/cluster.ts";
import { ended, passing, simulate } from "../testing/simulate.ts";
import { createWorld, type World } from "../testing/world.ts";

const template = (image: string) => ({
  metadata: { labels: { app: "shop" } },
  spec: { containers: [{ name: "app", image }] },
});

async function released<T extends DaemonSet | StatefulSet>(kind: Kind<T>, target: T): Promise<World> {
  const world = createWorld();
  world.put(target);
  const made = canary("shop", { interval: "1s", threshold: 1, stepWeights: [50] });
  const spec = { ...made.spec, targetRef: { apiVersion: "apps/v1", kind: kind.kind, name: "shop" } };
  world.put({ ...made, spec: { ...spec, revertOnDeletion: true } } as Canary);
  await simulate(world, passing).run(({ phase }) => phase === "Initialized");
  world.edit(kind as Kind, "shop", (object) => withImage(object, "app:2"));
  return world;
}

function withImage(object: KubeObject, image: string): KubeObject {
  const { spec } = object as StatefulSet;
  const pods = { ...spec?.template, spec: { ...spec?.template.spec, containers: [{ name: "app", image }] } };
  return { ...object, spec: { ...spec, template: pods } } as KubeObject;
}

test("a DaemonSet is scaled by a node selector that no node has, and no run is started by it", async () => {
  const world = await released(DaemonSetKind, {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { name: "shop", namespace: "default" },
    spec: { selector: { matchLabels: { app: "shop" } }, template: template("app:1") },
  });
  const target = () => world.snapshot().get(DaemonSetKind, "default", "shop");
  const primary = () => world.snapshot().get(DaemonSetKind, "default", "shop-primary");
  const zero = { "flagger.app/scale-to-zero": "true" };
  expect(target()?.spec?.template.spec?.nodeSelector).toEqual(zero);
  expect(primary()?.spec?.template.spec?.nodeSelector).toBeUndefined();
  const simulation = simulate(world, passing);
  await simulation.run((state) => "canaryWeight" in state && state.canaryWeight === 50);
  expect(target()?.spec?.template.spec?.nodeSelector).toBeUndefined();
  await simulation.run(ended);
  expect(world.canary().status).toMatchObject({ phase: "Succeeded" });
  expect(primary()?.spec?.template.spec?.containers[0]?.image).toBe("app:2");
  expect(target()?.spec?.template.spec?.nodeSelector).toEqual(zero);
  for (let turn = 0; turn < 5; turn++) expect((await simulation.turn()).phase).toBe("Succeeded");
  expect(world.canary().status?.history).toHaveLength(1);

  const kept = world.canary();
  world.put({ ...kept, metadata: { ...kept.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } });
  for (let turn = 0; turn < 4; turn++) await simulation.turn();
  expect(target()?.spec?.template.spec?.nodeSelector).toBeUndefined();
});

test("a StatefulSet's primary has claims and a Service of its own", async () => {
  const volumeClaimTemplates = [{ metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"] } }];
  const world = await released(StatefulSetKind, {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { name: "shop", namespace: "default" },
    spec: {
      replicas: 3,
      serviceName: "shop-pods",
      selector: { matchLabels: { app: "shop" } },
      template: template("app:1"),
      volumeClaimTemplates,
    },
  });
  const primary = () => world.snapshot().get(StatefulSetKind, "default", "shop-primary");
  expect(primary()?.spec).toMatchObject({ replicas: 3, serviceName: "shop-primary", volumeClaimTemplates });
  const apex = world.snapshot().get(ServiceKind, "default", "shop");
  expect(apex?.spec?.selector).toEqual({ app: "shop-primary" });
  const simulation = simulate(world, passing);
  await simulation.run((state) => "canaryWeight" in state && state.canaryWeight === 50);
  expect(world.snapshot().get(StatefulSetKind, "default", "shop")?.spec?.replicas).toBe(3);
  await simulation.run(ended);
  expect(primary()?.spec?.template.spec?.containers[0]?.image).toBe("app:2");
  expect(world.snapshot().get(StatefulSetKind, "default", "shop")?.spec?.replicas).toBe(0);
});

test("a DaemonSet that never updates its pods is told so", async () => {
  const world = createWorld();
  world.put({
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { name: "shop", namespace: "default" },
    spec: {
      selector: { matchLabels: { app: "shop" } },
      template: template("app:1"),
      updateStrategy: { type: "OnDelete" },
    },
  } as DaemonSet);
  const made = canary("shop", { interval: "1s", threshold: 1, stepWeights: [50] });
  world.put({
    ...made,
    spec: { ...made.spec, targetRef: { apiVersion: "apps/v1", kind: "DaemonSet", name: "shop" } },
  } as Canary);
  await simulate(world, passing).turn();
  expect(world.canary().status?.conditions?.find(({ type }) => type === "Stalled")).toMatchObject({
    status: "True",
    reason: "TargetUnusable",
    message: expect.stringContaining("RollingUpdate"),
  });
});
