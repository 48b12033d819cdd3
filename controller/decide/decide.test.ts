/** Sentences that hold for any rollout, whatever the checks say and wherever the process is killed. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { rollbackAnnotation, runAnnotation } from "../../api/annotations.ts";
import { type Deployment, DeploymentKind } from "../../api/core.ts";
import type { VirtualService } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/resource.ts";
import { canary, deployment } from "../testing/cluster.ts";
import { type Script, simulate } from "../testing/simulate.ts";
import { createWorld, type World } from "../testing/world.ts";
import type { State } from "./state.ts";

const passing: Script = { check: () => "passed" };

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

const ended = (state: State): boolean =>
  (state.phase === "Succeeded" || state.phase === "Failed") && state.cleanup.length === 0;

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
    { numRuns: 60 },
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
