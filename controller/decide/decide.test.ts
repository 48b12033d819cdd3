/** Sentences that hold for any rollout, whatever the checks say and wherever the process is killed. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { rollbackAnnotation, runAnnotation } from "../../api/annotations.ts";
import { type Deployment, DeploymentKind } from "../../api/core.ts";
import type { HookType } from "../../api/hooks.ts";
import { CanaryKind, type VirtualService } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/resource.ts";
import { canary, deployment } from "../testing/cluster.ts";
import { ended, passing, type Script, simulate } from "../testing/simulate.ts";
import { createWorld, type World } from "../testing/world.ts";

function withImage(image: string): (object: Deployment) => Deployment {
  return (object) => {
    const template = object.spec?.template;
    const [container] = template?.spec?.containers ?? [];
    return {
      ...object,
      spec: {
        selector: {},
        ...object.spec,
        template: { ...template, spec: { containers: [{ name: "app", ...container, image }] } },
      },
    };
  };
}

interface Weights {
  readonly canary: number;
  readonly sum: number;
}

function weightsOf(route: VirtualService | undefined): Weights {
  const [primary = 0, canaryWeight = 0] =
    route?.spec.http?.[0]?.route?.map(({ weight }) => weight ?? 0) ?? [];
  return { canary: canaryWeight, sum: primary + canaryWeight };
}

function imageOf(object: KubeObject | undefined): string | undefined {
  return (object as Deployment | undefined)?.spec?.template.spec?.containers[0]?.image;
}

/** What must hold after every single write. Returns the highest weight seen. */
function watchInvariants(world: World): { raised: number[] } {
  const rolledBack = new Set<string>();
  const seen = { raised: [] as number[] };
  world.onWrite = (after, before) => {
    if (after.kind === "VirtualService") {
      const weights = weightsOf(after as VirtualService);
      expect(weights.sum).toBe(100);
      const { [runAnnotation]: run = "{}", [rollbackAnnotation]: rollback } =
        after.metadata.annotations ?? {};
      if (rollback !== undefined) rolledBack.add(JSON.parse(rollback).run);
      if (weights.canary > weightsOf(before as VirtualService | undefined).canary) {
        seen.raised.push(weights.canary);
        expect(rolledBack).not.toContain(JSON.parse(run).run);
        // What raises exposure was stored before.
        expect(world.canary().status?.canaryWeight).toBe(weights.canary);
        expect(world.snapshot().get(DeploymentKind, "default", "shop")?.spec?.replicas).toBeGreaterThan(0);
      }
    }
    if (after.kind === "Deployment" && after.metadata.name === "shop-primary" && before !== undefined) {
      if (imageOf(after) !== imageOf(before)) expect(world.canary().status?.phase).toBe("Promoting");
    }
    if (after.kind === "Deployment" && after.metadata.name === "shop" && before !== undefined) {
      const replicas = (after as Deployment).spec?.replicas;
      if (replicas === 0) expect(weightsOf(world.route()).canary).toBe(0);
    }
  };
  return seen;
}

/** A canary that is initialized and has just been given a new revision. */
async function released(stepWeights = [20, 60], stepWeightPromotion = 0): Promise<World> {
  const world = createWorld();
  world.put(deployment("shop", "app:1"));
  world.put(canary("shop", { interval: "1s", threshold: 2, stepWeights, stepWeightPromotion }));
  await simulate(world, passing).run(({ phase }) => phase === "Initialized");
  world.edit(DeploymentKind, "shop", withImage("app:2"));
  return world;
}

/** What is left at the end, without what differs from run to run. */
function remains(world: World) {
  const snapshot = world.snapshot();
  const { status } = world.canary();
  return {
    phase: status?.phase,
    applied: status?.lastAppliedSpec,
    promoted: status?.lastPromotedSpec,
    weights: weightsOf(world.route()),
    marked: world.route()?.metadata.annotations?.[runAnnotation] !== undefined,
    primary: imageOf(snapshot.get(DeploymentKind, "default", "shop-primary")),
    replicas: snapshot.get(DeploymentKind, "default", "shop")?.spec?.replicas,
  };
}

const kinds = fc.constantFrom("passed" as const, "failed" as const, "inconclusive" as const);

test("weights sum to 100, only a passed check raises one, and none rises after a rollback began", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(kinds, { minLength: 12, maxLength: 12 }), async (checks) => {
      const world = await released();
      const seen = watchInvariants(world);
      const asked: string[] = [];
      const simulation = simulate(world, {
        check: () => {
          const kind = checks[asked.length % checks.length] ?? "passed";
          asked.push(kind);
          return kind;
        },
      });
      for (let turn = 0; turn < 40; turn++) await simulation.turn();
      // The first weight needs no check; each further one a passed one.
      expect(seen.raised.length).toBeLessThanOrEqual(1 + asked.filter((kind) => kind === "passed").length);
      if (!asked.includes("passed")) expect(seen.raised).toEqual(seen.raised.slice(0, 1));
    }),
    { numRuns: 30 },
  );
});

const scripts: Readonly<Record<string, Script>> = {
  promoted: passing,
  "rolled back by checks": {
    check: (state) => ("canaryWeight" in state && state.canaryWeight >= 60 ? "failed" : "passed"),
  },
  "rolled back by the guard": {
    check: () => "passed",
    harm: (state) =>
      state.phase === "Progressing" && state.canaryWeight >= 60
        ? { by: "trip-wire", reason: "every attempt failed", at: 0 }
        : undefined,
  },
  "taken back while promoting": {
    check: () => "passed",
    harm: (state) => (state.phase === "Promoting" ? { by: "harm", reason: "worse", at: 0 } : undefined),
  },
};

test.each(Object.entries(scripts))(
  "killed at any write, a run that is %s ends the same",
  async (_name, script) => {
    const straight = await released();
    watchInvariants(straight);
    const before = straight.writes;
    await simulate(straight, script).run(ended);
    for (let settle = 0; settle < 3; settle++) await simulate(straight, script).turn();
    const expected = remains(straight);
    const points = straight.writes - before;
    expect(points).toBeGreaterThan(6);
    for (let point = 0; point < points; point++) {
      for (const when of ["before", "after"] as const) {
        const world = await released();
        watchInvariants(world);
        world.killAt(world.writes + point, when);
        const simulation = simulate(world, script);
        await simulation.run(ended);
        for (let settle = 0; settle < 3; settle++) await simulation.turn();
        expect(remains(world), `killed ${when} write ${point}`).toEqual(expected);
      }
    }
  },
);

test("each run ends as its evidence says", async () => {
  const ends = await Promise.all(
    Object.entries(scripts).map(async ([name, script]) => {
      const world = await released();
      await simulate(world, script).run(ended);
      return [name, remains(world).phase, remains(world).primary];
    }),
  );
  expect(ends).toEqual([
    ["promoted", "Succeeded", "app:2"],
    ["rolled back by checks", "Failed", "app:1"],
    ["rolled back by the guard", "Failed", "app:1"],
    ["taken back while promoting", "Failed", "app:1"],
  ]);
});

test("a revision that comes in the middle of a run begins another, at weight 0", async () => {
  const world = await released();
  watchInvariants(world);
  const simulation = simulate(world, passing);
  const first = await simulation.run((state) => "canaryWeight" in state && state.canaryWeight === 20);
  world.edit(DeploymentKind, "shop", withImage("app:3"));
  const second = await simulation.turn();
  expect(second).toMatchObject({ phase: "Progressing", canaryWeight: 0 });
  expect("run" in second && "run" in first && second.run.id !== first.run.id).toBe(true);
  expect(weightsOf(world.route()).canary).toBe(0);
  await simulation.run(ended);
  expect(remains(world)).toMatchObject({ phase: "Succeeded", primary: "app:3" });
});

test("a target that goes back to what is promoted ends the run at once", async () => {
  const world = await released();
  const simulation = simulate(world, passing);
  await simulation.run((state) => "canaryWeight" in state && state.canaryWeight === 20);
  world.edit(DeploymentKind, "shop", withImage("app:1"));
  await simulation.turn();
  expect(weightsOf(world.route()).canary).toBe(0);
  await simulation.run(ended);
  expect(remains(world)).toMatchObject({ phase: "Succeeded", primary: "app:1", replicas: 0 });
});

test("what is promoted is what was analysed, though the target changed meanwhile", async () => {
  const world = await released();
  const simulation = simulate(world, passing);
  await simulation.run(({ phase }) => phase === "Promoting");
  world.edit(DeploymentKind, "shop", withImage("app:3"));
  await simulation.run(({ phase }) => phase === "Succeeded");
  expect(remains(world).primary).toBe("app:2");
  await simulation.run(({ phase }) => phase === "Progressing");
});

test("a failed revision is analysed again only after the target had another", async () => {
  const world = await released();
  const failing = simulate(world, { check: () => "failed" });
  await failing.run(ended);
  for (let turn = 0; turn < 5; turn++) expect((await failing.turn()).phase).toBe("Failed");
  world.edit(DeploymentKind, "shop", withImage("app:1"));
  for (let turn = 0; turn < 3; turn++) expect((await failing.turn()).phase).toBe("Failed");
  world.edit(DeploymentKind, "shop", withImage("app:2"));
  await failing.run(({ phase }) => phase === "Progressing");
});

test("idle, nothing is written", async () => {
  const world = await released();
  const simulation = simulate(world, passing);
  await simulation.run(ended);
  for (let turn = 0; turn < 3; turn++) await simulation.turn();
  const before = world.writes;
  for (let turn = 0; turn < 20; turn++) await simulation.turn();
  expect(world.writes).toBe(before);
});

/** As {@link released}, with webhooks of the given types, each named as its type. */
async function withHooks(...types: readonly HookType[]): Promise<World> {
  const world = createWorld();
  const webhooks = types.map((type) => ({ name: type, type, url: "http://hooks.demo/" }));
  world.put(deployment("shop", "app:1"));
  world.put(canary("shop", { interval: "1s", threshold: 2, stepWeights: [20, 60], webhooks }));
  await simulate(world, passing).run(({ phase }) => phase === "Initialized");
  world.edit(DeploymentKind, "shop", withImage("app:2"));
  return world;
}

/** Hooks of these types pass until the turn; then all do. */
function closedUntil(turn: number): Script {
  return { check: () => "passed", hook: (_name, now) => (now < turn ? "failed" : "passed") };
}

test("a closed confirm-rollout gate keeps a revision waiting, without a run and without counting", async () => {
  const world = await withHooks("confirm-rollout");
  const simulation = simulate(world, closedUntil(12));
  for (let turn = 0; turn < 8; turn++) await simulation.turn();
  expect(world.canary().status).toMatchObject({ phase: "Waiting", failedChecks: 0 });
  expect(world.snapshot().get(DeploymentKind, "default", "shop")?.spec?.replicas).toBe(0);
  await simulation.run(ended);
  expect(remains(world)).toMatchObject({ phase: "Succeeded", primary: "app:2" });
});

test("a closed confirm-promotion gate holds the last weight and shows it", async () => {
  const world = await withHooks("confirm-promotion");
  const simulation = simulate(world, closedUntil(25));
  await simulation.run(({ phase }) => phase === "WaitingPromotion");
  expect(world.canary().status).toMatchObject({ canaryWeight: 60, failedChecks: 0 });
  await simulation.run(ended);
  expect(remains(world)).toMatchObject({ phase: "Succeeded", primary: "app:2" });
});

test("pre-rollout hooks that fail end the run before any traffic", async () => {
  const world = await withHooks("pre-rollout");
  const seen = watchInvariants(world);
  await simulate(world, closedUntil(1000)).run(ended);
  expect(remains(world)).toMatchObject({ phase: "Failed", primary: "app:1" });
  expect(seen.raised).toEqual([]);
});

test("a rollback hook that passes takes the canary back", async () => {
  const world = await withHooks("rollback");
  await simulate(world, closedUntil(5)).run(ended);
  expect(world.canary().status?.failure).toMatchObject({ reason: "Hook", check: "rollback" });
});

test("pods that crash end the run at once, and a primary that is not ready does not stand in the way", async () => {
  const world = await released();
  const simulation = simulate(world, {
    check: () => "passed",
    isReady: ({ metadata }, turn) => turn < 4 || !metadata.name.startsWith("shop"),
  });
  await simulation.run(({ phase }) => phase === "Failed");
  expect(world.canary().status?.failure?.reason).toBe("PodFailure");
  expect(weightsOf(world.route()).canary).toBe(0);
});

test("suspended, a run holds its weight; the guard still ends it", async () => {
  const world = await released();
  let harmful = false;
  const simulation = simulate(world, {
    check: () => "passed",
    harm: () => (harmful ? { by: "trip-wire", reason: "every attempt failed", at: 0 } : undefined),
  });
  await simulation.run((state) => "canaryWeight" in state && state.canaryWeight === 20);
  world.edit(CanaryKind, "shop", (object) => ({ ...object, spec: { ...object.spec, suspend: true } }));
  for (let turn = 0; turn < 5; turn++) await simulation.turn();
  expect(weightsOf(world.route()).canary).toBe(20);
  harmful = true;
  await simulation.turn();
  expect(weightsOf(world.route()).canary).toBe(0);
});

test.each([
  ["abort", "Failed", "app:1"],
  ["promote", "Succeeded", "app:2"],
] as const)("the action %s ends the run and counts once", async (action, phase, image) => {
  const world = await released();
  const simulation = simulate(world, { check: () => "inconclusive" });
  await simulation.run((state) => "canaryWeight" in state && state.canaryWeight === 20);
  world.edit(CanaryKind, "shop", (object) => ({
    ...object,
    metadata: {
      ...object.metadata,
      annotations: { "fairlead.dev/action": action, "fairlead.dev/by": "ada" },
    },
  }));
  await simulation.run(ended);
  expect(remains(world)).toMatchObject({ phase, primary: image });
  expect(world.canary().metadata.annotations).toEqual({});
});

test("a status that Flagger made is adopted without a run where primary and target are equal", async () => {
  const world = await released();
  const simulation = simulate(world, passing);
  await simulation.run(ended);
  world.edit(CanaryKind, "shop", (object) => ({
    ...object,
    status: { phase: "Succeeded" as const, lastAppliedSpec: "bcdf6789bc", lastPromotedSpec: "bcdf6789bc" },
  }));
  for (let turn = 0; turn < 6; turn++) expect((await simulation.turn()).phase).toBe("Succeeded");
  expect(world.canary().status?.lastAppliedSpec).toMatch(/^v2:/);
});
