/** What a rollout does beside its steps: the primary's capacity, known-good revisions, and waiting for others. */
import { expect, test } from "vitest";
import { readCanary } from "../../api/canary/read.ts";
import { DeploymentKind, HorizontalPodAutoscalerKind } from "../../api/core.ts";
import type { CanarySpec } from "../../api/generated/canaries.ts";
import { type Canary, CanaryKind } from "../../api/kinds.ts";
import { createRunQueue } from "../queue.ts";
import { autoscaler, autoscalerRef, scaleTo } from "../testing/autoscaler.ts";
import { canary, deployment } from "../testing/cluster.ts";
import { ended, passing, simulate, weightIs } from "../testing/simulate.ts";
import { createWorld, type World } from "../testing/world.ts";

async function initialized(spec: Partial<CanarySpec>, ...before: readonly object[]): Promise<World> {
  const world = createWorld();
  for (const object of before) world.put(object as Canary);
  world.put(deployment("shop", "app:1"));
  const made = canary("shop", { interval: "1s", threshold: 1, stepWeights: [20, 60] });
  world.put({ ...made, spec: { ...made.spec, ...spec } } as Canary);
  await simulate(world, passing).run(({ phase }) => phase === "Initialized");
  return world;
}

function release(world: World, image: string): void {
  world.edit(DeploymentKind, "shop", (object) => JSON.parse(JSON.stringify(object).replace(/app:\d/, image)));
}

test("a primary that its scaler would shrink keeps its pods while a run lives, and has more before it takes all", async () => {
  const world = await initialized({ autoscalerRef }, autoscaler);
  const least = () =>
    world.snapshot().get(HorizontalPodAutoscalerKind, "default", "shop-primary")?.spec?.minReplicas;
  const replicas = () => world.snapshot().get(DeploymentKind, "default", "shop-primary")?.spec?.replicas ?? 0;
  scaleTo(world, "shop-primary", 5);
  expect(least()).toBe(2);
  release(world, "app:2");
  const simulation = simulate(world, passing);
  await simulation.run(weightIs(20));
  expect(least()).toBe(5);
  await simulation.run(({ phase }) => phase === "Promoting");
  for (let turn = 0; turn < 5; turn++) await simulation.turn();
  // Two pods of the canary beside five: the traffic waits for all seven.
  expect(least()).toBe(7);
  expect(world.canary().status?.phase).toBe("Promoting");
  scaleTo(world, "shop-primary", 7);
  await simulation.run(ended);
  for (let turn = 0; turn < 3; turn++) await simulation.turn();
  expect(least()).toBe(2);
  expect(replicas()).toBe(7);
});

test("a revision that was promoted lately goes straight through, one that was not is analysed", async () => {
  const world = await initialized({ rollbackWindow: { revisions: 1 } });
  const simulation = simulate(world, passing);
  for (const image of ["app:2", "app:3"]) {
    release(world, image);
    await simulation.run(({ phase }) => phase === "Progressing");
    await simulation.run(ended);
  }
  const weights: number[] = [];
  world.onWrite = (after) => {
    if (after.kind === "Canary") weights.push((after as Canary).status?.canaryWeight ?? 0);
  };
  release(world, "app:2");
  await simulation.run(({ phase }) => phase === "Progressing");
  await simulation.run(ended);
  expect(Math.max(...weights)).toBe(0);
  const image = () =>
    world.snapshot().get(DeploymentKind, "default", "shop-primary")?.spec?.template.spec?.containers[0]
      ?.image;
  expect(image()).toBe("app:2");
  release(world, "app:4");
  await simulation.run(weightIs(20));
});

test("a canary waits for those that it depends on, and a failed one stops it", async () => {
  const other = canary("store", { interval: "1s", threshold: 1, stepWeights: [50] });
  const world = await initialized({ dependsOn: ["store"] });
  world.put({ ...other, status: { phase: "Progressing" } } as Canary);
  const found = () => world.snapshot().get(CanaryKind, "default", "shop")?.status;
  release(world, "app:2");
  const simulation = simulate(world, passing);
  for (let turn = 0; turn < 5; turn++) await simulation.turn();
  expect(found()).toMatchObject({ phase: "Initialized" });
  expect(found()?.conditions?.find(({ type }) => type === "Ready")).toMatchObject({
    reason: "Queued",
    message: "a new revision waits: it depends on canary `store`, which is Progressing",
  });
  world.put({ ...other, status: { phase: "Failed" } } as Canary);
  for (let turn = 0; turn < 5; turn++) await simulation.turn();
  expect(found()?.phase).toBe("Initialized");
  world.put({ ...other, status: { phase: "Succeeded" } } as Canary);
  await simulation.run(ended);
  expect(found()?.phase).toBe("Succeeded");
});

test("no more rollouts than allowed are under way, and a run that is under way goes on", () => {
  const { value } = readCanary(canary("shop", { interval: "1s", threshold: 1, stepWeights: [50] }));
  if (value === undefined) throw new Error("not readable");
  const queue = createRunQueue(2);
  const snapshot = createWorld().snapshot();
  queue.set("a/one", true);
  expect(queue.obstacle("a/three", value, snapshot)).toBeUndefined();
  queue.set("a/two", true);
  expect(queue.obstacle("a/three", value, snapshot)).toBe("2 rollouts are under way, at most 2 may be");
  expect(queue.obstacle("a/two", value, snapshot)).toBeUndefined();
  queue.set("a/one", false);
  expect(queue.obstacle("a/three", value, snapshot)).toBeUndefined();
});
