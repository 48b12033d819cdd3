/** Rollouts that somebody disturbs: scalers in both directions, and the Canary deleted in each phase. On an API server: test/e2e/disturbed.test.ts. */
import { describe, expect, test } from "vitest";
import {
  type Deployment,
  DeploymentKind,
  HorizontalPodAutoscalerKind,
  type Service,
  ServiceKind,
} from "../api/core.ts";
import type { CanarySpec, CanaryWebhook } from "../api/generated/canaries.ts";
import { type Canary, type VirtualService, VirtualServiceKind } from "../api/kinds.ts";
import type { KubeObject } from "../api/resource.ts";
import type { State } from "./decide/state.ts";
import { autoscaler, autoscalerRef, scaleTo } from "./testing/autoscaler.ts";
import { canary, deployment } from "./testing/cluster.ts";
import { ended, passing, type Script, type Simulation, simulate, weightIs } from "./testing/simulate.ts";
import { createWorld, type World } from "./testing/world.ts";

function worldOf(spec: Partial<CanarySpec>, ...around: readonly KubeObject[]): World {
  const world = createWorld();
  for (const object of [...around, deployment("shop", "app:1")]) world.put(object);
  const made = canary("shop", { interval: "1s", threshold: 1, stepWeights: [20, 60] });
  const analysis = { ...made.spec.analysis, ...spec.analysis };
  world.put({ ...made, spec: { ...made.spec, ...spec, analysis } } as Canary);
  return world;
}

const initialized = (world: World) => simulate(world, passing).run(({ phase }) => phase === "Initialized");

function release(world: World): void {
  world.edit(DeploymentKind, "shop", (object) =>
    JSON.parse(JSON.stringify(object).replaceAll("app:1", "app:2")),
  );
}

const workload = (world: World, name: string) => world.snapshot().get(DeploymentKind, "default", name);

describe("a scaler in the middle of a run", () => {
  /** What the scalers have set, and what the controller wrote of it. */
  async function scaled(): Promise<{ world: World; written: string[]; scale: typeof scale }> {
    const world = worldOf({ autoscalerRef }, autoscaler);
    await initialized(world);
    const counts = new Map<string, number>();
    const written: string[] = [];
    function scale(name: string, replicas: number): void {
      counts.set(name, replicas);
      scaleTo(world, name, replicas);
    }
    world.onWrite = (after) => {
      if (after.kind !== "Deployment") return;
      const { replicas = 1 } = (after as Deployment).spec ?? {};
      const { name } = after.metadata;
      if (replicas !== counts.get(name)) written.push(`${name} ${replicas}`);
      counts.set(name, replicas);
    };
    scale("shop-primary", 4);
    return { world, written, scale };
  }

  test.each([
    ["up", [3, 6, 9]],
    ["down", [9, 6, 2]],
    ["up and down", [3, 8, 2]],
  ] as const)("%s: its numbers are never written over", async (_direction, [first, second, third]) => {
    const { world, written, scale } = await scaled();
    release(world);
    const simulation = simulate(world, passing);
    await simulation.run(({ phase }) => phase === "Progressing");
    await simulation.turn();
    scale("shop", first);
    await simulation.run(weightIs(20));
    scale("shop", second);
    scale("shop-primary", first + 2);
    await simulation.run(weightIs(60));
    scale("shop", third);
    await simulation.run(({ phase }) => phase === "Promoting");
    const least = () =>
      world.snapshot().get(HorizontalPodAutoscalerKind, "default", "shop-primary")?.spec?.minReplicas;
    await simulation.turn();
    // Its scaler does what it is asked: as many as both have now, or the most that it may.
    scale("shop-primary", least() ?? 0);
    await simulation.run(ended);
    for (let turn = 0; turn < 3; turn++) await simulation.turn();
    // From zero to the scaler's least when the run begins, and to zero when it is over.
    expect(written).toEqual(["shop 2", "shop 0"]);
    expect(least()).toBe(2);
  });

  test("scaled in both directions while the canary is taken back", async () => {
    const { world, written, scale } = await scaled();
    release(world);
    let failing = false;
    const simulation = simulate(world, { check: () => (failing ? "failed" : "passed") });
    await simulation.run(weightIs(20));
    scale("shop", 7);
    failing = true;
    scale("shop-primary", 3);
    await simulation.run(ended);
    expect(written).toEqual(["shop 2", "shop 0"]);
    expect(workload(world, "shop-primary")?.spec?.replicas).toBe(3);
  });
});

describe("the Canary is deleted", () => {
  const hook = (type: NonNullable<CanaryWebhook["type"]>): CanaryWebhook => ({
    name: type,
    type,
    url: "http://tester.default/",
  });
  const apex = (): Service => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "shop", namespace: "default", labels: { mine: "yes" } },
    spec: { selector: { app: "shop" }, ports: [{ name: "web", port: 80, targetPort: 8080 }] },
  });
  const route = (): VirtualService => ({
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "shop", namespace: "default", annotations: { mine: "yes" } },
    spec: { hosts: ["shop"], http: [{ timeout: "7s", route: [{ destination: { host: "shop" } }] }] },
  });

  interface Way {
    readonly script: Script;
    readonly webhooks?: readonly CanaryWebhook[];
    readonly isThere: (state: State) => boolean;
  }
  const inPhase = (phase: State["phase"]) => (state: State) => state.phase === phase;
  const closed = (gate: string): Script => ({
    ...passing,
    hook: (name) => (name === gate ? "failed" : "passed"),
  });
  const ways: Readonly<Record<string, Way>> = {
    Waiting: {
      script: closed("confirm-rollout"),
      webhooks: [hook("confirm-rollout")],
      isThere: inPhase("Waiting"),
    },
    "Progressing before the first weight": {
      script: { ...passing, isReady: ({ metadata }) => metadata.name !== "shop" },
      isThere: inPhase("Progressing"),
    },
    "Progressing at a weight": { script: passing, isThere: weightIs(60) },
    WaitingPromotion: {
      script: closed("confirm-promotion"),
      webhooks: [hook("confirm-promotion")],
      isThere: inPhase("WaitingPromotion"),
    },
    Promoting: { script: passing, isThere: inPhase("Promoting") },
    Finalising: { script: passing, isThere: inPhase("Finalising") },
    Succeeded: { script: passing, isThere: ended },
    "Failed, not tidied up yet": {
      script: { check: ({ phase }) => (phase === "Progressing" ? "failed" : "passed") },
      isThere: inPhase("Failed"),
    },
    Failed: {
      script: { check: ({ phase }) => (phase === "Progressing" ? "failed" : "passed") },
      isThere: ended,
    },
  };

  async function deleted(world: World, simulation: Simulation): Promise<void> {
    const { metadata, ...rest } = world.canary();
    world.put({ ...rest, metadata: { ...metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } });
    for (let turn = 0; (world.canary().metadata.finalizers ?? []).length > 0; turn++) {
      expect(turn).toBeLessThan(20);
      await simulation.turn();
    }
  }

  /** All that is not the user's goes with the Canary, by its owner. */
  function expectNoOrphans(world: World, users: readonly string[]): void {
    const { uid } = world.canary().metadata;
    for (const { kind, metadata } of world.all()) {
      if (kind === "Canary" || users.includes(`${kind}/${metadata.name}`)) continue;
      const owners = metadata.ownerReferences?.map((owner) => owner.uid);
      expect(owners, `${kind} ${metadata.name}`).toContain(uid);
    }
  }

  function expectAsBefore(world: World): void {
    const service = world.snapshot().get(ServiceKind, "default", "shop");
    const virtualService = world.snapshot().get(VirtualServiceKind, "default", "shop");
    for (const [found, before] of [
      [service, apex()],
      [virtualService, route()],
    ] as const) {
      expect(found?.spec).toEqual(before.spec);
      expect(found?.metadata.labels).toEqual(before.metadata.labels);
      expect(found?.metadata.annotations).toEqual(before.metadata.annotations);
    }
    expect(workload(world, "shop")?.spec?.replicas).toBeGreaterThan(0);
  }

  const users = ["Deployment/shop", "Service/shop", "VirtualService/shop"];

  test.each(Object.entries(ways))(
    "%s: the target serves, and what was there before is as it was, wherever it is killed",
    async (_name, { script, webhooks, isThere }) => {
      const reached = async () => {
        const spec = { revertOnDeletion: true, ...(webhooks && { analysis: { webhooks } }) };
        const world = worldOf(spec, apex(), route());
        await initialized(world);
        release(world);
        await simulate(world, script).run(isThere);
        return world;
      };
      const straight = await reached();
      const before = straight.writes;
      await deleted(straight, simulate(straight, passing));
      expectAsBefore(straight);
      expectNoOrphans(straight, users);
      for (let point = 0; point < straight.writes - before; point++) {
        const world = await reached();
        world.killAt(world.writes + point, point % 2 === 0 ? "after" : "before");
        await deleted(world, simulate(world, passing));
        expectAsBefore(world);
      }
    },
  );

  test("Initializing: a target that was never scaled keeps its pods", async () => {
    const world = worldOf({ revertOnDeletion: true }, apex(), route());
    const simulation = simulate(world, {
      ...passing,
      isReady: ({ metadata }) => metadata.name !== "shop-primary",
    });
    for (let turn = 0; turn < 4; turn++) await simulation.turn();
    expect(world.canary().status?.phase).toBe("Initializing");
    await deleted(world, simulation);
    expectAsBefore(world);
    expectNoOrphans(world, users);
  });

  test.each(Object.entries(ways))(
    "%s without revertOnDeletion: it goes at once, and leaves nothing that is nobody's",
    async (_name, { script, webhooks, isThere }) => {
      const world = worldOf(webhooks ? { analysis: { webhooks } } : {});
      await initialized(world);
      release(world);
      await simulate(world, script).run(isThere);
      expect(world.canary().metadata.finalizers ?? []).toEqual([]);
      expectNoOrphans(world, ["Deployment/shop"]);
    },
  );
});
