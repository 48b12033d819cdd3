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
import { createPatchStatus } from "../../kube/patch-status.ts";
import { recordHistory } from "../soak/crash/history.ts";
import { brokenInvariants } from "../soak/crash/invariants.ts";
import { kinds } from "../soak/crash/kinds.ts";
import { type Asked, type Fault, type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";

const seed = Number(process.env.FAIRLEAD_SEED ?? 77);
/** The goals have five minutes and 10,000 conflicts; here, as much as a suite has time for. */
const outage = Number(process.env.FAIRLEAD_OUTAGE_SECONDS ?? 4) * 1000;
const conflictsWanted = Number(process.env.FAIRLEAD_CONFLICTS ?? 500);
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

test("3.2 each answer takes 30 s: no step is taken on what was not read, and it goes on within 10 s", async () => {
  const name = await atRest([20, 40, 60, 80]);
  await release(name);
  await waitFor(cluster, name, ({ status }) => status?.canaryWeight === 20);
  proxy.fault(({ isWatch }) => (isWatch ? undefined : { kind: "delay", delay: 30_000 }));
  const before = await cluster.client.get(CanaryKind, "default", name);
  await new Promise((resolve) => setTimeout(resolve, outage));
  const after = await cluster.client.get(CanaryKind, "default", name);
  // What was under way when the answers became slow may still have got there.
  expect(after?.status?.canaryWeight).toBe(before?.status?.canaryWeight);
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

test("3.2 of updates that meet conflicts none is lost", { timeout: 600_000 }, async () => {
  const name = await atRest();
  let refused = 0;
  proxy.fault((asked, random) => {
    if (!isWrite(asked) || random() >= 1 / 3) return undefined;
    refused++;
    return { kind: "refuse", status: 409 };
  });
  // Two writers of the status; the rest of the conflicts are those that they make each other.
  const patchStatus = createPatchStatus(client);
  const counts = [0, 0];
  const write = async (writer: number) => {
    while (refused < conflictsWanted) {
      await patchStatus(CanaryKind, { namespace: "default", name }, ({ status }) => {
        const { trackedConfigs = {}, ...rest } = status ?? { phase: "" };
        const count = Number(trackedConfigs?.[`writer-${writer}`] ?? 0) + 1;
        return { ...rest, trackedConfigs: { ...trackedConfigs, [`writer-${writer}`]: String(count) } };
      });
      counts[writer] = (counts[writer] ?? 0) + 1;
    }
  };
  await Promise.all([write(0), write(1)]);
  const { status } = (await cluster.client.get(CanaryKind, "default", name)) ?? {};
  expect([0, 1].map((writer) => Number(status?.trackedConfigs?.[`writer-${writer}`]))).toEqual(counts);
});

test("3.2 each answer takes half a second", () =>
  rolloutUnder(({ isWatch }) => (isWatch ? undefined : { kind: "delay", delay: 500 }), 60_000));

test("3.3 watches on which only bookmarks come are not listed anew", async () => {
  const name = await atRest();
  proxy.fault(({ isWatch }) => (isWatch ? { kind: "bookmarks" } : undefined));
  // Two lives of a watch: each goes on from the last bookmark.
  await new Promise((resolve) => setTimeout(resolve, 5000));
  const lists = proxy.asked.filter(({ method, isWatch }) => method === "GET" && !isWatch);
  expect(lists.map(({ path }) => path)).toEqual([]);
  expect(proxy.asked.filter(({ isWatch }) => isWatch).length).toBeGreaterThan(10);
  proxy.fault();
  await release(name);
  await waitFor(cluster, name, ({ status }) => status?.phase === "Succeeded", 30_000);
});

test("3.3 every second watch is told 410 Gone", () =>
  rolloutUnder(({ isWatch, number }) =>
    isWatch && number % 2 === 0 ? { kind: "refuse", status: 410 } : undefined,
  ));

test("3.3 after one 410 each resource is listed once", async () => {
  const name = await atRest([20, 60]);
  const told = new Set<string>();
  proxy.fault(({ isWatch, path }) => {
    if (!isWatch || told.has(path)) return undefined;
    told.add(path);
    return { kind: "refuse", status: 410 };
  });
  await release(name);
  await waitFor(cluster, name, ({ status }) => status?.phase === "Succeeded", 30_000);
  const lists = proxy.asked.filter(
    ({ method, isWatch, path }) => method === "GET" && !isWatch && told.has(path),
  );
  const counts = Map.groupBy(lists, ({ path }) => path);
  expect(counts.size).toBeGreaterThan(3);
  for (const [path, { length }] of counts) expect(length, path).toBe(1);
});

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
