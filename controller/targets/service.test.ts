/** A Service as target: two copies of it carry the release, and the target itself is never written. */
import { describe, expect, test } from "vitest";
import { type Service, ServiceKind } from "../../api/core.ts";
import type { CanarySpec } from "../../api/generated/canaries.ts";
import type { Canary } from "../../api/kinds.ts";
import { canary } from "../testing/cluster.ts";
import { ended, passing, type Script, simulate, weightIs } from "../testing/simulate.ts";
import { createWorld, type World } from "../testing/world.ts";
import type { ServiceSpec } from "./service.ts";

const blue: ServiceSpec = {
  type: "LoadBalancer",
  clusterIP: "10.0.0.1",
  clusterIPs: ["10.0.0.1"],
  loadBalancerIP: "192.0.2.1",
  selector: { app: "shop", color: "blue" },
  sessionAffinity: "None",
  ports: [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP", nodePort: 30_080 }],
};

async function initialized(spec: ServiceSpec = blue, more: Partial<CanarySpec> = {}): Promise<World> {
  const world = createWorld();
  world.put({
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: "shop",
      namespace: "default",
      labels: { team: "a", "kustomize.toolkit.fluxcd.io/name": "x" },
      annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}" },
    },
    spec,
  } as Service);
  const made = canary("shop", { interval: "1s", threshold: 1, stepWeights: [20, 60] });
  const targetRef = { apiVersion: "v1", kind: "Service", name: "shop" } as const;
  world.put({ ...made, spec: { ...made.spec, targetRef, revertOnDeletion: true, ...more } } as Canary);
  await simulate(world, passing).run(({ phase }) => phase === "Initialized");
  return world;
}

const find = (world: World, name: string) => world.snapshot().get(ServiceKind, "default", name);
const colors = (world: World) =>
  ["shop-primary", "shop-canary"].map((name) => find(world, name)?.spec?.selector?.color);
const weights = (world: World) => world.route()?.spec.http?.[0]?.route?.map(({ weight }) => weight);

function paint(world: World, color: string): void {
  world.edit(ServiceKind, "shop", (object) => ({
    ...object,
    spec: { ...object.spec, selector: { app: "shop", color } },
  }));
}

/** What the server gives a Service that asks for no address. */
function allocate(world: World): void {
  for (const [index, name] of ["shop-primary", "shop-canary"].entries()) {
    const clusterIP = `10.0.1.${index}`;
    world.edit(ServiceKind, name, (object) => ({
      ...object,
      spec: { ...object.spec, clusterIP, clusterIPs: [clusterIP] },
    }));
  }
}

test("both copies lead where the target does, inside the cluster, and the route leads to them", async () => {
  const world = await initialized();
  const primary = find(world, "shop-primary");
  expect(primary?.spec).toEqual({
    type: "ClusterIP",
    selector: { app: "shop", color: "blue" },
    sessionAffinity: "None",
    ports: [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP" }],
  });
  expect(primary?.metadata.labels).toEqual({ team: "a" });
  expect(primary?.metadata.annotations).not.toHaveProperty(
    "kubectl.kubernetes.io/last-applied-configuration",
  );
  expect(primary?.metadata.ownerReferences?.[0]).toMatchObject({ kind: "Canary", controller: true });
  expect(find(world, "shop-canary")?.spec).toEqual(primary?.spec);
  expect(weights(world)).toEqual([100, 0]);
  expect(world.canary().status).toMatchObject({ phase: "Initialized", trackedConfigs: {} });
});

test("another selector is a release: the canary's copy leads there, the primary's when it is promoted", async () => {
  const world = await initialized();
  allocate(world);
  const target = () => JSON.stringify({ ...find(world, "shop"), metadata: undefined });
  paint(world, "green");
  const asWritten = target();
  const simulation = simulate(world, passing);
  await simulation.run(weightIs(20));
  expect(colors(world)).toEqual(["blue", "green"]);
  expect(weights(world)).toEqual([80, 20]);
  await simulation.run(ended);
  for (let turn = 0; turn < 3; turn++) await simulation.turn();
  expect(world.canary().status?.phase).toBe("Succeeded");
  expect(colors(world)).toEqual(["green", "green"]);
  expect(weights(world)).toEqual([100, 0]);
  expect(find(world, "shop-primary")?.spec?.clusterIP).toBe("10.0.1.0");
  expect(find(world, "shop-canary")?.spec?.clusterIPs).toEqual(["10.0.1.1"]);
  expect(target()).toBe(asWritten);
  const { metadata, ...rest } = world.canary();
  world.put({ ...rest, metadata: { ...metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } });
  await simulation.turn();
  expect(world.canary().metadata.finalizers).toEqual([]);
  expect(target()).toBe(asWritten);
});

test("what its author does not say is no release: another address, another load balancer", async () => {
  const world = await initialized();
  world.edit(ServiceKind, "shop", (object) => ({
    ...object,
    spec: { ...object.spec, type: "NodePort", clusterIP: "10.0.0.9" },
  }));
  const simulation = simulate(world, passing);
  for (let turn = 0; turn < 3; turn++) expect((await simulation.turn()).phase).toBe("Initialized");
});

test("a newer selector in the middle takes the traffic back before the canary's copy leads there", async () => {
  const world = await initialized();
  paint(world, "green");
  const simulation = simulate(world, passing);
  await simulation.run(weightIs(60));
  paint(world, "red");
  await simulation.run((state) => weights(world)?.[1] === 0 && state.phase === "Progressing");
  expect(colors(world)[1]).toBe("green");
  await simulation.run(ended);
  expect(colors(world)).toEqual(["red", "red"]);
  expect(world.canary().status?.history?.map(({ outcome }) => outcome)).toEqual(["promoted", "restarted"]);
});

test("a target that changes while the primary is promoted does not lead the canary's users elsewhere", async () => {
  const world = await initialized();
  paint(world, "green");
  const simulation = simulate(world, passing);
  await simulation.run(({ phase }) => phase === "Promoting");
  paint(world, "red");
  world.onWrite = () => {
    if (weights(world)?.[1] !== 0) expect(colors(world)[1]).not.toBe("red");
  };
  await simulation.run(ended);
  expect(colors(world)[0]).toBe("green");
});

describe("killed at any write it ends the same", () => {
  const scripts: readonly (readonly [string, Script, readonly [string, string], string])[] = [
    ["promoted", passing, ["green", "green"], "Succeeded"],
    ["rolled back by checks", { check: () => "failed" }, ["blue", "green"], "Failed"],
    [
      "taken back while promoting",
      {
        ...passing,
        harm: ({ phase }) => (phase === "Promoting" ? { by: "harm", reason: "worse", at: 0 } : undefined),
      },
      ["blue", "green"],
      "Failed",
    ],
  ];
  test.each(scripts)("%s", async (_name, script, wanted, phase) => {
    const released = async () => {
      const world = await initialized();
      paint(world, "green");
      return world;
    };
    const straight = await released();
    const before = straight.writes;
    await simulate(straight, script).run(ended);
    for (let point = 0; point < straight.writes - before; point++) {
      const world = await released();
      world.killAt(world.writes + point, point % 2 === 0 ? "after" : "before");
      const simulation = simulate(world, script);
      await simulation.run(ended);
      for (let turn = 0; turn < 3; turn++) await simulation.turn();
      expect(world.canary().status?.phase, `killed at write ${point}`).toBe(phase);
      expect(colors(world)).toEqual(wanted);
      expect(weights(world)).toEqual([100, 0]);
    }
  });
});

test("to an external name and back", async () => {
  const world = await initialized();
  allocate(world);
  const simulation = simulate(world, passing);
  world.edit(ServiceKind, "shop", (object) => ({
    ...object,
    spec: { type: "ExternalName", externalName: "shop.example.com" },
  }));
  await simulation.run(({ phase }) => phase === "Progressing");
  await simulation.run(ended);
  expect(find(world, "shop-primary")?.spec).toEqual({
    type: "ExternalName",
    externalName: "shop.example.com",
  });
});

const told = (world: World) =>
  world.canary().status?.conditions?.find(({ type }) => type === "Stalled")?.message;

test("a Service without a selector is told so", async () => {
  const world = createWorld();
  world.put({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "shop", namespace: "default" },
    spec: { ports: [{ port: 80 }] },
  } as Service);
  const made = canary("shop", { interval: "1s", threshold: 1, stepWeights: [20] });
  const targetRef = { apiVersion: "v1", kind: "Service", name: "shop" } as const;
  world.put({ ...made, spec: { ...made.spec, targetRef } } as Canary);
  await simulate(world, passing).turn();
  expect(told(world)).toContain("has no `spec.selector`");
});
