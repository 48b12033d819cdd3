/** A Canary that names another provider: the new route stands before the old one goes, and nothing is left behind. */
import { expect, test } from "vitest";
import { DeploymentKind, IngressKind } from "../api/core.ts";
import type { CanarySpec } from "../api/generated/canaries.ts";
import {
  type Canary,
  CanaryKind,
  DestinationRuleKind,
  HTTPRouteKind,
  type VirtualService,
  VirtualServiceKind,
} from "../api/kinds.ts";
import type { KubeObject } from "../api/resource.ts";
import { canary, deployment } from "./testing/cluster.ts";
import { ended, passing, type Simulation, simulate, weightIs } from "./testing/simulate.ts";
import { createWorld, type World } from "./testing/world.ts";

const gatewayApi: Partial<CanarySpec> = {
  provider: "gatewayapi:v1",
  service: { port: 80, gatewayRefs: [{ name: "public" }] },
};
const istio: Partial<CanarySpec> = { provider: "istio", service: { port: 80 } };

async function initialized(spec: Partial<CanarySpec>, ...around: readonly KubeObject[]): Promise<World> {
  const world = createWorld();
  for (const object of around) world.put(object);
  world.put(deployment("shop", "app:1"));
  const made = canary("shop", { interval: "1s", threshold: 1, stepWeights: [20, 60] });
  world.put({ ...made, spec: { ...made.spec, ...spec } } as Canary);
  await simulate(world, passing).run(({ phase }) => phase === "Initialized");
  return world;
}

function release(world: World): void {
  world.edit(DeploymentKind, "shop", (object) =>
    JSON.parse(JSON.stringify(object).replaceAll("app:1", "app:2")),
  );
}

function change(world: World, spec: Partial<CanarySpec>): void {
  world.edit(CanaryKind, "shop", (object) => ({ ...object, spec: { ...object.spec, ...spec } }));
}

async function turns(simulation: Simulation, count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await simulation.turn();
}

const routes = (world: World): string[] =>
  [...world.all()]
    .filter(({ kind }) =>
      [VirtualServiceKind, DestinationRuleKind, HTTPRouteKind, IngressKind].some((one) => one.kind === kind),
    )
    .map(({ kind, metadata }) => `${kind}/${metadata.name}`)
    .toSorted();

const istioRoutes = ["DestinationRule/shop-canary", "DestinationRule/shop-primary", "VirtualService/shop"];

test("at rest the former provider's objects go, and those of the present one stand; and back again", async () => {
  const world = await initialized(istio);
  expect(routes(world)).toEqual(istioRoutes);
  expect(world.canary().status?.provider).toBe("istio");
  const simulation = simulate(world, passing);
  change(world, gatewayApi);
  await turns(simulation, 4);
  expect(routes(world)).toEqual(["HTTPRoute/shop"]);
  expect(world.canary().status).toMatchObject({ phase: "Initialized", provider: "gatewayapi:v1" });
  change(world, istio);
  await turns(simulation, 4);
  expect(routes(world)).toEqual(istioRoutes);
});

test("in the middle of a run the new route carries the weight before the old one goes, wherever it is killed", async () => {
  const changed = async () => {
    const world = await initialized(istio);
    release(world);
    await simulate(world, passing).run(weightIs(20));
    change(world, gatewayApi);
    return world;
  };
  const straight = await changed();
  const before = straight.writes;
  await simulate(straight, passing).run(ended);
  for (let point = 0; point < straight.writes - before; point++) {
    const world = await changed();
    world.killAt(world.writes + point, point % 2 === 0 ? "before" : "after");
    const simulation = simulate(world, {
      ...passing,
      meanwhile: () => {
        const weights = world.snapshot().get(HTTPRouteKind, "default", "shop")?.spec.rules?.[0]?.backendRefs;
        expect(weights !== undefined || world.route() !== undefined).toBe(true);
      },
    });
    await simulation.run(ended);
    await turns(simulation, 3);
    expect(world.canary().status, `killed at write ${point}`).toMatchObject({
      phase: "Succeeded",
      provider: "gatewayapi:v1",
    });
    expect(routes(world)).toEqual(["HTTPRoute/shop"]);
  }
});

test("a canary that turns bad just then has no traffic by either route", async () => {
  const world = await initialized(istio);
  release(world);
  await simulate(world, passing).run(weightIs(20));
  change(world, gatewayApi);
  const harm = { by: "trip-wire", reason: "10 of 10 failed", at: 0 } as const;
  const simulation = simulate(world, { ...passing, harm: () => harm });
  await simulation.turn();
  expect(world.route()?.spec.http?.[0]?.route?.map(({ weight }) => weight)).toEqual([100, 0]);
  await simulation.run(ended);
  await turns(simulation, 3);
  expect(world.canary().status?.phase).toBe("Failed");
  expect(routes(world)).toEqual(["HTTPRoute/shop"]);
});

test("a route that was taken over is given back as it was", async () => {
  const spec = { hosts: ["shop"], http: [{ route: [{ destination: { host: "shop" } }] }] };
  const metadata = { name: "shop", namespace: "default", labels: { mine: "yes" } };
  const route = { apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata, spec };
  const world = await initialized(istio, route as VirtualService);
  expect(world.route()?.spec).not.toEqual(spec);
  change(world, gatewayApi);
  await turns(simulate(world, passing), 4);
  expect(world.route()?.spec).toEqual(spec);
  expect(world.route()?.metadata).toMatchObject({ labels: { mine: "yes" } });
  expect(world.route()?.metadata.annotations ?? {}).toEqual({});
  expect(routes(world)).toEqual(["HTTPRoute/shop", "VirtualService/shop"]);
});

test("of a route of the user's own nothing leads to the canary any more", async () => {
  const destinations = ["shop-primary", "shop-canary"].map((host, index) => ({
    destination: { host },
    weight: index === 0 ? 100 : 0,
  }));
  const world = await initialized(istio, {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "shop", namespace: "default" },
    spec: { hosts: ["shop"], http: [{ timeout: "3s", route: destinations }] },
  } as VirtualService);
  release(world);
  const simulation = simulate(world, passing);
  await simulation.run(weightIs(20));
  change(world, gatewayApi);
  await simulation.run(ended);
  expect(world.route()?.spec.http).toEqual([{ timeout: "3s", route: destinations }]);
  expect(world.canary().status).toMatchObject({ phase: "Succeeded", provider: "gatewayapi:v1" });
});

test("the canary's Ingress goes although the Canary names none any more", async () => {
  const backend = { service: { name: "shop", port: { number: 80 } } };
  const http = { paths: [{ path: "/", pathType: "Prefix", backend }] };
  const world = await initialized(
    { provider: "nginx", ingressRef: { apiVersion: "networking.k8s.io/v1", kind: "Ingress", name: "web" } },
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "Ingress",
      metadata: { name: "web", namespace: "default" },
      spec: { rules: [{ host: "x", http }] },
    } as KubeObject,
  );
  expect(routes(world)).toEqual(["Ingress/web", "Ingress/web-canary"]);
  world.edit(CanaryKind, "shop", (object) => {
    const { ingressRef: _none, ...spec } = object.spec;
    return { ...object, spec: { ...spec, provider: "istio" as const } };
  });
  await turns(simulate(world, passing), 4);
  expect(routes(world)).toEqual([...istioRoutes.slice(0, 2), "Ingress/web", "VirtualService/shop"]);
});
