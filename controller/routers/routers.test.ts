/** What each router writes, as files that a reviewer reads, and that a rollout by it ends the same wherever it is killed. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import type { RollbackMark, RunMark } from "../../api/annotations.ts";
import { readCanary } from "../../api/canary/read.ts";
import { DeploymentKind, type Ingress } from "../../api/core.ts";
import type { CanarySpec } from "../../api/generated/canaries.ts";
import type { Canary, HTTPRoute, VirtualService } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/resource.ts";
import { snapshotOf } from "../../kube/snapshot.ts";
import { affinityOf } from "../decide/affinity.ts";
import { idleTraffic, type Traffic } from "../decide/traffic.ts";
import { objectWrites } from "../objects.ts";
import { defaultSettings } from "../settings.ts";
import { readSubject, type Subject } from "../subject.ts";
import { canary, deployment } from "../testing/cluster.ts";
import { ended, simulate } from "../testing/simulate.ts";
import { createWorld, type World } from "../testing/world.ts";
import { chooseRouter } from "./choose.ts";

const folder = join(import.meta.dirname, "..", "testdata", "routers");
const plan = { interval: "10s", threshold: 5 };
const service = {
  port: 80,
  targetPort: 9898,
  hosts: ["www.example.com"],
  match: [{ uri: { prefix: "/api" }, headers: { "x-tenant": { exact: "a" } } }],
  timeout: "15s",
  retries: { attempts: 3, perTryTimeout: "1s", retryOn: "gateway-error" },
  headers: { request: { add: { "x-b": "2", "x-a": "1" } } },
  rewrite: { uri: "/" },
};
const gatewayRefs = [{ name: "public", namespace: "gateways" }];
const match = [{ headers: { "x-user": { exact: "insider" } }, queryParams: { beta: { regex: "1|2" } } }];

interface Case {
  readonly spec: Partial<CanarySpec>;
  readonly traffic: Partial<Traffic>;
  readonly around?: readonly KubeObject[];
}

const ingress: Ingress = {
  apiVersion: "networking.k8s.io/v1",
  kind: "Ingress",
  metadata: { name: "shop", namespace: "default", annotations: { "cert-manager.io/issuer": "x" } },
  spec: {
    ingressClassName: "nginx",
    rules: [
      {
        host: "www.example.com",
        http: {
          paths: [
            { path: "/", pathType: "Prefix", backend: { service: { name: "shop", port: { number: 80 } } } },
            {
              path: "/img",
              pathType: "Prefix",
              backend: { service: { name: "images", port: { number: 80 } } },
            },
          ],
        },
      },
    ],
  },
};
const ingressRef = { apiVersion: "networking.k8s.io/v1", kind: "Ingress", name: "shop" } as const;
const names = { canary: "version", primary: "version-primary" };
const sessionAffinity = { cookieName: "version", maxAge: 3600, domain: "example.com", secure: true };
const half: Partial<Traffic> = { canaryWeight: 40, affinity: affinityOf("r1", 40, [10, 40], names) };
const steps = { ...plan, stepWeights: [10, 40] };

const cases: Readonly<Record<string, Case>> = {
  "istio-weights": { spec: { service, analysis: steps }, traffic: { canaryWeight: 40 } },
  "istio-ab-testing": {
    spec: { service, analysis: { ...plan, iterations: 5, match } },
    traffic: { canaryWeight: 100 },
  },
  "istio-mirror": {
    spec: { service, analysis: { ...plan, iterations: 5, mirror: true, mirrorWeight: 20 } },
    traffic: { mirror: 20 },
  },
  "istio-affinity": { spec: { service, analysis: { ...steps, sessionAffinity } }, traffic: half },
  "istio-affinity-after": {
    spec: { service, analysis: { ...steps, sessionAffinity } },
    traffic: { expired: "version=abcdefghij" },
  },
  "istio-delegation": {
    spec: { service: { port: 80, delegation: true, portDiscovery: true }, analysis: steps },
    traffic: {},
  },
  "istio-tcp": {
    spec: { service: { port: 5432, appProtocol: "tcp" }, analysis: steps },
    traffic: { canaryWeight: 10 },
  },
  "gateway-api-weights": {
    spec: {
      provider: "gatewayapi:v1",
      service: { ...service, gatewayRefs, backendTimeout: "5s" },
      analysis: steps,
    },
    traffic: { canaryWeight: 40 },
  },
  "gateway-api-v1beta1": {
    spec: { provider: "gatewayapi:v1beta1", service: { ...service, gatewayRefs }, analysis: steps },
    traffic: { canaryWeight: 10 },
  },
  "gateway-api-ab-testing": {
    spec: {
      provider: "gatewayapi:v1",
      service: { ...service, gatewayRefs },
      analysis: { ...plan, iterations: 5, match },
    },
    traffic: { canaryWeight: 100 },
  },
  "gateway-api-mirror": {
    spec: {
      provider: "gatewayapi:v1",
      service: { port: 80, gatewayRefs },
      analysis: { ...plan, iterations: 5, mirror: true, mirrorWeight: 20 },
    },
    traffic: { mirror: 20 },
  },
  "gateway-api-affinity": {
    spec: {
      provider: "gatewayapi:v1",
      service: { port: 80, gatewayRefs },
      analysis: { ...steps, sessionAffinity },
    },
    traffic: half,
  },
  "gateway-api-tcp": {
    spec: {
      provider: "gatewayapi:v1",
      service: { port: 5432, appProtocol: "tcp", gatewayRefs },
      analysis: steps,
    },
    traffic: { canaryWeight: 10 },
  },
  "linkerd-weights": { spec: { provider: "linkerd", analysis: steps }, traffic: { canaryWeight: 10 } },
  "nginx-weights": {
    spec: { provider: "nginx", ingressRef, analysis: steps },
    traffic: { canaryWeight: 10 },
    around: [ingress],
  },
  "nginx-ab-testing": {
    spec: {
      provider: "nginx",
      ingressRef,
      analysis: { ...plan, iterations: 5, match: [{ headers: { "x-canary": { exact: "insider" } } }] },
    },
    traffic: { canaryWeight: 100 },
    around: [ingress],
  },
  "kubernetes-blue-green": {
    spec: { provider: "kubernetes", analysis: { ...plan, iterations: 5 } },
    traffic: { canaryWeight: 100 },
  },
};

function subjectOf({ spec, around = [] }: Case, objects: readonly KubeObject[] = []): Subject {
  const made = canary("shop", undefined);
  const object = { ...made, metadata: { ...made.metadata, uid: "canary" }, spec: { ...made.spec, ...spec } };
  const { value, problems } = readCanary(object);
  if (value === undefined) throw new Error(JSON.stringify(problems));
  const target = {
    ...deployment("shop", "app:1"),
    metadata: { name: "shop", namespace: "default", uid: "target" },
  };
  const snapshot = snapshotOf([target, ...around, ...objects]);
  return readSubject(value, snapshot, chooseRouter(value), defaultSettings);
}

const trafficOf = ({ traffic }: Case): Traffic => ({ ...idleTraffic, ...traffic });

function made(subject: Subject, traffic: Traffic): KubeObject[] {
  return objectWrites(subject, true, traffic).flatMap((write) =>
    write.kind === "patch" ? [] : [write.object],
  );
}

const routes = new Set(["VirtualService", "HTTPRoute", "TCPRoute", "Ingress"]);
const mark: RollbackMark = { id: "i", run: "r1", revision: "v2:1", reason: "x", at: "2026-01-01T00:00:00Z" };
const run: RunMark = {
  canary: { namespace: "default", name: "shop", uid: "canary" },
  run: "r1",
  revision: "v2:1",
  primaryHost: "p",
  canaryHost: "c",
};

describe.each(Object.entries(cases))("%s", (name, one) => {
  const traffic = trafficOf(one);

  test("its objects", async () => {
    const objects = made(subjectOf(one), traffic).filter(
      ({ kind, metadata }) =>
        routes.has(kind) || (kind === "Service" && metadata.name === "shop" && name.startsWith("kubernetes")),
    );
    const text = objects.map((object) => stringify(object, { aliasDuplicateObjects: false })).join("---\n");
    await expect(text).toMatchFileSnapshot(join(folder, `${name}.yaml`));
  });

  test("what stands as it should is not written again, idle traffic is what a rollback leaves, and marks come back", async () => {
    const world = createWorld();
    for (const object of [...(one.around ?? []), ...made(subjectOf(one), traffic)]) world.put(object);
    const subject = () => subjectOf(one, stored(world));
    expect(objectWrites(subject(), true, traffic)).toEqual([]);
    const { router, canary: read } = subject();
    const observe = (wanted: Traffic) => router.observe(read, wanted, subject().snapshot);
    expect(observe(traffic)).toMatchObject({ kind: "present", asWanted: true, consistent: true });
    const set = router.setTraffic(read, traffic, run, subject().snapshot);
    await perform(world, set);
    expect(observe(traffic)).toMatchObject({ run: "r1", asWanted: true });
    await perform(world, router.rollBack(read, mark, subject().snapshot));
    expect(observe(traffic)).toMatchObject({
      canaryWeight: 0,
      mirrored: false,
      consistent: true,
      rollback: { run: "r1" },
    });
    await perform(world, router.setTraffic(read, idleTraffic, undefined, subject().snapshot));
    expect(observe(idleTraffic)).toMatchObject({ canaryWeight: 0, asWanted: true });
    await perform(world, router.clearRunMark(read, subject().snapshot));
    expect(observe(idleTraffic)).not.toHaveProperty("run");
  });
});

function stored(world: World): KubeObject[] {
  return [...world.all()];
}

async function perform(
  world: World,
  write: ReturnType<ReturnType<typeof chooseRouter>["rollBack"]>,
): Promise<void> {
  if (write?.kind !== "patch") throw new Error("expected a patch");
  await world.client.patch(write.of, write.namespace, write.name, {
    kind: "json",
    operations: write.operations,
  });
}

test.each([
  [
    "VirtualService",
    {
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: { name: "shop", namespace: "default", labels: { mine: "yes" } },
      spec: { hosts: ["shop"], http: [{ route: [{ destination: { host: "shop" } }] }] },
    } satisfies VirtualService,
    { analysis: steps },
  ],
  [
    "HTTPRoute",
    {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "HTTPRoute",
      metadata: { name: "shop", namespace: "default", annotations: { mine: "yes" } },
      spec: { rules: [{ backendRefs: [{ name: "shop", port: 80 }] }] },
    } satisfies HTTPRoute,
    { provider: "gatewayapi:v1", service: { port: 80, gatewayRefs }, analysis: steps },
  ],
] as const)("a %s that the user had is given back byte for byte", (_kind, route, spec) => {
  const one: Case = { spec: spec as Partial<CanarySpec>, traffic: {} };
  const taken = made(subjectOf(one, [route]), idleTraffic).find(({ kind }) => kind === route.kind);
  expect(taken).not.toEqual(route);
  const { router, canary: read, owner, snapshot } = subjectOf(one, taken ? [taken] : []);
  const [back] = router.revert(read, owner, snapshot);
  expect(back?.kind === "replace" && back.object).toEqual(route);
});

test("of an HTTPRoute of the user's that has both Services only the weights are set", async () => {
  const rules = [
    { matches: [{ path: { value: "/img" } }], backendRefs: [{ name: "images", port: 80 }] },
    {
      backendRefs: [
        { name: "shop-canary", port: 80, weight: 0 },
        { name: "shop-primary", port: 80 },
      ],
    },
  ];
  const route = {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: "shop", namespace: "default" },
    spec: { rules },
  };
  const one: Case = {
    spec: { provider: "gatewayapi:v1", service: { port: 80 }, analysis: steps },
    traffic: {},
  };
  const world = createWorld();
  world.put(route);
  const { router, canary: read } = subjectOf(one);
  expect(made(subjectOf(one, stored(world)), idleTraffic).map(({ kind }) => kind)).not.toContain("HTTPRoute");
  await perform(world, router.setTraffic(read, { ...idleTraffic, canaryWeight: 30 }, run, world.snapshot()));
  const [, split] = (stored(world)[0] as HTTPRoute).spec.rules ?? [];
  expect(split?.backendRefs).toEqual([
    { name: "shop-canary", port: 80, weight: 30 },
    { name: "shop-primary", port: 80, weight: 70 },
  ]);
});

/** Providers beside Istio's objects, whose strategies are swept elsewhere. */
const providers: Readonly<Record<string, Case>> = {
  "gatewayapi:v1": { spec: { provider: "gatewayapi:v1", service: { port: 80, gatewayRefs } }, traffic: {} },
  linkerd: { spec: { provider: "linkerd" }, traffic: {} },
  nginx: { spec: { provider: "nginx", ingressRef }, traffic: {}, around: [ingress] },
};

test.each(Object.entries(providers))(
  "%s: a rollout ends the same wherever it is killed",
  async (_name, one) => {
    const released = async () => {
      const world = createWorld();
      for (const object of [...(one.around ?? []), deployment("shop", "app:1")]) world.put(object);
      const made = canary("shop", { interval: "1s", threshold: 1, stepWeights: [20, 60] });
      world.put({ ...made, spec: { ...made.spec, ...one.spec } } as Canary);
      await simulate(world, { check: () => "passed" }).run(({ phase }) => phase === "Initialized");
      world.edit(DeploymentKind, "shop", (object) =>
        JSON.parse(JSON.stringify(object).replaceAll("app:1", "app:2")),
      );
      return world;
    };
    for (const check of ["passed", "failed"] as const) {
      const straight = await released();
      const before = straight.writes;
      await simulate(straight, { check: () => check }).run(ended);
      const phase = check === "passed" ? "Succeeded" : "Failed";
      for (let point = 0; point < straight.writes - before; point++) {
        const world = await released();
        world.killAt(world.writes + point, "after");
        const killed = simulate(world, { check: () => check });
        await killed.run(ended);
        for (let settle = 0; settle < 3; settle++) await killed.turn();
        expect(world.canary().status?.phase, `killed after write ${point}`).toBe(phase);
        const { value } = readCanary(world.canary());
        const route = value && chooseRouter(value).observe(value, idleTraffic, world.snapshot());
        expect(route).toMatchObject({ canaryWeight: 0, asWanted: true });
        expect(route).not.toHaveProperty("run");
      }
    }
  },
);
