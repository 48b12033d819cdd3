/** Rollouts while the API server misbehaves (a seeded proxy stands before it): 3.2 and 3.3 of the reliability goals. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { DeploymentKind } from "../../api/core.ts";
import { CanaryKind } from "../../api/kinds.ts";
import {
  canary,
  deployment,
  startTestCluster,
  type TestCluster,
  waitFor,
} from "../../controller/testing/cluster.ts";
import { startTestController, type TestController } from "../../controller/testing/process.ts";
import { createClient } from "../../kube/client.ts";
import type { Client, Informers } from "../../kube/contract.ts";
import { recordHistory } from "../soak/crash/history.ts";
import { brokenInvariants } from "../soak/crash/invariants.ts";
import { kinds } from "../soak/crash/kinds.ts";
import { type Asked, type Fault, type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";

const seed = Number(process.env.FAIRLEAD_SEED ?? 77);
const interval = 1000;

let cluster: TestCluster;
let proxy: FaultProxy;
let client: Client;
let observer: Informers;
let controller: TestController;
let number = 0;

beforeAll(async () => {
  cluster = await startTestCluster();
  proxy = await startFaultProxy(cluster.connection, seed);
  client = createClient(proxy.connection);
  observer = cluster.informers();
  await observer.watch(...kinds);
  // Watches as in the program, a tenth as long: a silent one is found within 3 s.
  const timing = { watch: 2000, spread: 400, grace: 300, retry: 200, maxRetry: 5000 };
  controller = await startTestController(cluster, { client, timing });
});

afterEach(() => proxy.fault());

afterAll(async () => {
  await controller.close();
  await client.close();
  await proxy.close();
  await cluster.close();
});

const isWrite = ({ method }: Asked): boolean => method !== "GET";

/** A canary at rest, of a name of its own. */
async function atRest(stepWeights: readonly number[] = [20, 60]): Promise<string> {
  const name = `shop-${++number}`;
  await cluster.client.create(DeploymentKind, deployment(name, "app:1"));
  await cluster.client.create(CanaryKind, canary(name, { interval: "1s", threshold: 2, stepWeights }));
  await waitFor(cluster, name, ({ status }) => status?.phase === "Initialized");
  return name;
}

async function release(name: string, image = "app:2"): Promise<void> {
  await cluster.client.patch(DeploymentKind, "default", name, {
    kind: "json",
    operations: [{ op: "replace", path: "/spec/template/spec/containers/0/image", value: image }],
  });
}

/** A whole rollout under a fault; what of I1-I6 did not hold is an error. */
async function rolloutUnder(fault: Fault, limit = 30_000): Promise<void> {
  const name = await atRest();
  const history = recordHistory(observer, "default");
  proxy.fault(fault);
  await release(name);
  await waitFor(cluster, name, ({ status }) => status?.phase === "Succeeded", limit);
  history.stop();
  const own = history.versions().filter(({ object }) => object.metadata.name.startsWith(name));
  expect(brokenInvariants(own, name, interval)).toEqual([]);
}

test("3.2 down: nothing is written, traffic stays, each object is asked for at most once a second, and it goes on within 10 s", async () => {
  const name = await atRest([20, 40, 60, 80]);
  await release(name);
  await waitFor(cluster, name, ({ status }) => status?.canaryWeight === 20);
  proxy.fault(() => ({ kind: "cut" }));
  const before = await cluster.client.get(CanaryKind, "default", name);
  const outage = 4000;
  await new Promise((resolve) => setTimeout(resolve, outage));
  expect(proxy.asked.some(({ passed }) => passed)).toBe(false);
  const after = await cluster.client.get(CanaryKind, "default", name);
  expect(after?.metadata.resourceVersion).toBe(before?.metadata.resourceVersion);
  const tries = Map.groupBy(proxy.asked.filter(isWrite), ({ method, path }) => `${method} ${path}`);
  // Backing off from 0.2 s: at most one a second on the whole, after the first.
  for (const [path, { length }] of tries) expect(length, path).toBeLessThanOrEqual(outage / 1000 + 4);
  proxy.fault();
  await waitFor(cluster, name, ({ status }) => (status?.canaryWeight ?? 0) > 20, 10_000);
  await waitFor(cluster, name, ({ status }) => status?.phase === "Succeeded");
});

test("3.2 429 with Retry-After is waited for", async () => {
  const until = performance.now() + 4000;
  await rolloutUnder(() =>
    performance.now() < until ? { kind: "refuse", status: 429, retryAfter: 1 } : undefined,
  );
});

test("3.2 one request in twenty answers 500", () =>
  rolloutUnder(({ isWatch }, random) =>
    !isWatch && random() < 0.05 ? { kind: "refuse", status: 500 } : undefined,
  ));

test("3.2 every third write is a conflict", () =>
  rolloutUnder((asked) =>
    isWrite(asked) && asked.number % 3 === 2 ? { kind: "refuse", status: 409 } : undefined,
  ));

test("3.2 each answer takes half a second", () =>
  rolloutUnder(({ isWatch }) => (isWatch ? undefined : { kind: "delay", delay: 500 }), 60_000));

test("3.3 every second watch is told 410 Gone", () =>
  rolloutUnder(({ isWatch, number }) =>
    isWatch && number % 2 === 0 ? { kind: "refuse", status: 410 } : undefined,
  ));

test("3.3 watches fall silent", () =>
  rolloutUnder(({ isWatch, number }) => (isWatch && number < 40 ? { kind: "silence" } : undefined)));

test("3.3 each event comes twice", () =>
  rolloutUnder(({ isWatch }) => (isWatch ? { kind: "repeat" } : undefined)));

test("3.3 watches break, and the event at which they do is lost", () =>
  rolloutUnder(({ isWatch }, random) =>
    isWatch ? { kind: "break", events: 2 + Math.floor(random() * 4) } : undefined,
  ));

test("3.3 seconds behind, the controller writes on no old version", async () => {
  const name = await atRest([20, 60]);
  // The watch of Canaries says nothing while somebody else writes.
  proxy.fault(({ isWatch, path, number }) =>
    isWatch && path.endsWith("/canaries") && number < 20 ? { kind: "silence" } : undefined,
  );
  await release(name);
  await cluster.client.patch(CanaryKind, "default", name, {
    kind: "merge",
    body: { metadata: { annotations: { somebody: "else" } } },
  });
  const { metadata } = await waitFor(
    cluster,
    name,
    (object) => object.status?.phase === "Succeeded" && object,
    30_000,
  );
  expect(metadata.annotations).toMatchObject({ somebody: "else" });
});
