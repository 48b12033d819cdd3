/** Flagger's acceptance cases, in memory. On API servers: test/e2e/flagger-cases.test.ts. */
import { expect, test } from "vitest";
import type { Deployment } from "../api/core.ts";
import type { Kind, KubeObject } from "../api/resource.ts";
import type { CaseBed } from "./testing/flagger/bed.ts";
import { flaggerCases } from "./testing/flagger-cases.ts";
import { type Simulation, simulate } from "./testing/simulate.ts";
import { createWorld, type World } from "./testing/world.ts";

test.each(Object.entries(flaggerCases))("%s", async (_name, play) => {
  const world = createWorld();
  await play(inMemory(world));
});

function inMemory(world: World): CaseBed {
  const broken = new Set<string>();
  const simulation: Simulation = simulate(world, {
    check: () => (bed.failing ? "failed" : "passed"),
    isReady: ({ spec }: Deployment) => !broken.has(spec?.template.spec?.containers[0]?.image ?? ""),
    labelPrefixes: ["test-label-prefix", "test-annotation-prefix"],
  });
  const bed: CaseBed = {
    failing: false,
    broken,
    put: async (_kind, object) => world.put(object),
    edit: async <T extends KubeObject>(kind: Kind<T>, name: string, change: (object: T) => T) =>
      world.edit(kind, name, change),
    get: async (kind, name) => world.snapshot().get(kind, "default", name),
    async until(condition) {
      for (let turn = 0; turn < 200; turn++) {
        await simulation.turn();
        if (await condition(world.canary())) return world.canary();
      }
      throw new Error(`not reached: ${JSON.stringify(world.canary().status)}`);
    },
    async deleteCanary() {
      const { metadata, ...rest } = world.canary();
      world.put({ ...rest, metadata: { ...metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } });
      for (let turn = 0; world.canary().metadata.finalizers?.length !== 0; turn++) {
        expect(turn).toBeLessThan(20);
        await simulation.turn();
      }
    },
  };
  return bed;
}
