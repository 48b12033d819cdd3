import { beforeEach, describe, expect, test } from "vitest";
import type { HttpRouteDestination } from "../../api/generated/virtualservices.ts";
import type { KubeObject } from "../../api/resource.ts";
import type { Cut } from "../../api/signals.ts";
import { snapshotOf } from "../../kube/snapshot.ts";
import { silent } from "../../lib/log.ts";
import type { Forward, RouteTable } from "../model/route.ts";
import { translateVirtualService } from "../translate/virtual-service.ts";
import { createCuts } from "./cuts.ts";

const cut: Cut = {
  kind: "cut",
  id: "cut-1",
  canaryUid: "uid-1",
  run: "run-1",
  revision: "r1",
  route: { kind: "VirtualService", namespace: "demo", name: "shop" },
  canaryDestinations: ["shop-canary.demo.svc.cluster.local"],
  primaryDestination: "shop-primary.demo.svc.cluster.local",
  reason: "every attempt failed",
  at: 0,
};

function route(
  annotations: Record<string, string> = {},
  name = "shop",
  destinations: readonly HttpRouteDestination[] = arms(70, 30),
) {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name, namespace: "demo", annotations },
    spec: { hosts: ["shop"], http: [{ route: destinations }] },
  };
}

function arms(primary: number, canary: number) {
  return [
    { destination: { host: "shop-primary" }, weight: primary },
    { destination: { host: "shop-canary" }, weight: canary },
  ];
}

function canary(annotations: Record<string, string> = {}): KubeObject {
  return {
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: "shop", namespace: "demo", uid: "uid-1", annotations },
  };
}

function tableOf(object: ReturnType<typeof route>): RouteTable {
  const { table } = translateVirtualService(object, "cluster.local");
  if (table === undefined) throw new Error("no table");
  return table;
}

function weights(table: RouteTable | undefined): Record<string, number> {
  const forward = table?.http[0]?.action as Forward;
  return Object.fromEntries(
    forward.destinations.map(({ host, weight }) => [host.split(".")[0] ?? "", weight]),
  );
}

describe("a cut", () => {
  let cuts: ReturnType<typeof createCuts>;
  beforeEach(() => {
    cuts = createCuts(silent);
    cuts.add(cut, snapshotOf([route(), canary({ "fairlead.dev/action": "resume" })]));
  });

  test("moves the canary's share to the primary on its own route alone", () => {
    const [own, other] = cuts.apply([tableOf(route()), tableOf(route({}, "other"))]);
    expect(weights(own)).toEqual({ "shop-primary": 100, "shop-canary": 0 });
    expect(weights(other)).toEqual({ "shop-primary": 70, "shop-canary": 30 });
  });

  test("adds the primary where the route leads to the canary alone", () => {
    const [own] = cuts.apply([tableOf(route({}, "shop", [{ destination: { host: "shop-canary" } }]))]);
    expect(weights(own)).toEqual({ "shop-primary": 100, "shop-canary": 0 });
  });

  test("gives the same objects while nothing changes", () => {
    const table = tableOf(route());
    expect(cuts.apply([table])[0]).toBe(cuts.apply([table])[0]);
    const others = [tableOf(route({}, "other"))];
    expect(cuts.apply(others)).toBe(others);
  });

  const before = { "fairlead.dev/action": "resume" };
  test.for([
    ["nothing new", route(), canary(before), true],
    ["the same run's mark", route({ "fairlead.dev/run": '{"revision":"r1"}' }), canary(before), true],
    ["a rollback of another cut", route({ "fairlead.dev/rollback": '{"id":"cut-0"}' }), canary(before), true],
    ["a damaged mark", route({ "fairlead.dev/rollback": "{" }), canary(before), true],
    ["no route at all", canary(before), canary(before), true],
    ["its own rollback", route({ "fairlead.dev/rollback": '{"id":"cut-1"}' }), canary(before), false],
    ["another revision", route({ "fairlead.dev/run": '{"revision":"r2"}' }), canary(before), false],
    ["a person's action", route(), canary({ "fairlead.dev/action": "promote" }), false],
    ["an action taken off", route(), canary(), true],
  ] as const)("after %s", ([, stored, asked, holds]) => {
    cuts.settle(snapshotOf([stored, asked]));
    expect(cuts.list()).toHaveLength(holds ? 1 : 0);
  });

  test("ends when it is released", () => {
    expect(cuts.remove("cut-1")).toBe(true);
    expect(weights(cuts.apply([tableOf(route())])[0])).toEqual({ "shop-primary": 70, "shop-canary": 30 });
  });
});
