/** Whole rollouts against an API server (`npm run e2e -- --cluster real` has a real one); pods are called ready by a loop, signals are scripted. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { rollbackAnnotation, runAnnotation } from "../api/annotations.ts";
import { DeploymentKind, ServiceKind } from "../api/core.ts";
import { CanaryKind, VirtualServiceKind } from "../api/kinds.ts";
import type { Client } from "../kube/contract.ts";
import { ApiError } from "../kube/error.ts";
import { canary, deployment, startTestCluster, type TestCluster, waitFor } from "./testing/cluster.ts";
import { startTestController, type TestController } from "./testing/process.ts";

let cluster: TestCluster;
let running: TestController | undefined;

/** The controller's client, whose writes can be cut off. */
function breakableClient(isCut: (write: string) => boolean): Client {
  const { controllerClient: client } = cluster;
  const refuse = () => Promise.reject(new ApiError({ status: 0, reason: "Unreachable", message: "cut off" }));
  return {
    ...client,
    patch: (kind, namespace, name, patch, subresource) =>
      isCut(`patch ${kind.kind}`) ? refuse() : client.patch(kind, namespace, name, patch, subresource),
    replace: (kind, object, subresource) =>
      isCut(`replace ${kind.kind}`) ? refuse() : client.replace(kind, object, subresource),
  };
}

beforeAll(async () => {
  cluster = await startTestCluster();
});

afterAll(async () => {
  await running?.close();
  await cluster.close();
});

const metrics = [{ name: "request-success-rate", interval: "1m", thresholdRange: { min: 99 } }];

async function initialized(
  name: string,
  stepWeights: number[],
  client?: Client,
  more: Readonly<Record<string, unknown>> = {},
): Promise<TestController> {
  await cluster.client.create(DeploymentKind, deployment(name, "app:1"));
  await cluster.client.create(
    CanaryKind,
    canary(name, { interval: "1s", threshold: 2, stepWeights, metrics, ...more }),
  );
  running = await startTestController(cluster, client && { client });
  await waitFor(cluster, name, ({ status }) => status?.phase === "Initialized");
  return running;
}

async function setImage(name: string, image: string): Promise<void> {
  await cluster.client.patch(DeploymentKind, "default", name, {
    kind: "json",
    operations: [{ op: "replace", path: "/spec/template/spec/containers/0/image", value: image }],
  });
}

async function weightsOf(name: string): Promise<readonly (number | undefined)[]> {
  const route = await cluster.client.get(VirtualServiceKind, "default", name);
  return route?.spec.http?.[0]?.route?.map(({ weight }) => weight) ?? [];
}

test("a good revision is promoted, step by step", async () => {
  const { events } = await initialized("good", [20, 60]);
  expect(await weightsOf("good")).toEqual([100, 0]);
  const apex = await cluster.client.get(ServiceKind, "default", "good");
  expect(apex?.spec?.selector).toEqual({ app: "good-primary" });
  expect((await cluster.client.get(DeploymentKind, "default", "good"))?.spec?.replicas).toBe(0);

  await setImage("good", "app:2");
  await waitFor(cluster, "good", ({ status }) => status?.canaryWeight === 20);
  await waitFor(cluster, "good", ({ status }) => status?.canaryWeight === 60);
  const { status } = await waitFor(
    cluster,
    "good",
    (object) => object.status?.phase === "Succeeded" && object,
  );
  expect(status?.lastPromotedSpec).toBe(status?.lastAppliedSpec);
  const primary = await cluster.client.get(DeploymentKind, "default", "good-primary");
  expect(primary?.spec?.template.spec?.containers[0]?.image).toBe("app:2");
  expect((await cluster.client.get(DeploymentKind, "default", "good"))?.spec?.replicas).toBe(0);
  expect(await weightsOf("good")).toEqual([100, 0]);
  await expect
    .poll(async () => (await cluster.client.get(VirtualServiceKind, "default", "good"))?.metadata.annotations)
    .not.toHaveProperty(runAnnotation);
  const said = events.map(({ message }) => message);
  expect(said).toContain("New revision detected! Scaling up good.default");
  expect(said).toContain("Advance good.default canary weight 20");
  expect(said).toContain("Promotion completed! Scaling down good.default");
  await running?.close();
});

test("a total outage is rolled back between two ticks", async () => {
  const { signals } = await initialized("outage", [20, 60]);
  await setImage("outage", "app:2");
  await expect.poll(() => weightsOf("outage"), { interval: 10, timeout: 5000 }).toEqual([80, 20]);
  const fault = performance.now();
  signals.outage = true;
  await expect.poll(() => weightsOf("outage"), { interval: 10, timeout: 5000 }).toEqual([100, 0]);
  expect(performance.now() - fault).toBeLessThan(1500);
  const { status } = await waitFor(
    cluster,
    "outage",
    (object) => object.status?.phase === "Failed" && object,
  );
  expect(status?.failure?.reason).toBe("TripWire");
  const route = await cluster.client.get(VirtualServiceKind, "default", "outage");
  expect(JSON.parse(route?.metadata.annotations?.[rollbackAnnotation] ?? "{}")).toMatchObject({
    run: status?.failure?.run,
  });
  await waitFor(cluster, "outage", (object) => object.status?.cleanup === undefined);
  expect((await cluster.client.get(DeploymentKind, "default", "outage"))?.spec?.replicas).toBe(0);
  const primary = await cluster.client.get(DeploymentKind, "default", "outage-primary");
  expect(primary?.spec?.template.spec?.containers[0]?.image).toBe("app:1");
  await running?.close();
});

test("behind a shield a dead canary is rolled back by attempts alone, and its users are counted", async () => {
  const analysis = { metrics: [], guard: "off", shield: {} };
  const { signals, events } = await initialized("shielded", [20, 60], undefined, analysis);
  signals.shielded = true;
  signals.failing = 1;
  await setImage("shielded", "app:2");
  await expect.poll(() => weightsOf("shielded"), { interval: 10, timeout: 5000 }).toEqual([80, 20]);
  const route = await cluster.client.get(VirtualServiceKind, "default", "shielded");
  expect(JSON.parse(route?.metadata.annotations?.[runAnnotation] ?? "{}")).toMatchObject({
    shield: { methods: ["GET", "HEAD", "OPTIONS"], hangAfter: 300 },
  });
  const { status } = await waitFor(
    cluster,
    "shielded",
    (object) => object.status?.phase === "Failed" && object,
  );
  expect(status?.failure).toMatchObject({ reason: "Threshold", check: "shield" });
  expect(status?.shield).toMatchObject({ run: status?.failure?.run, notRescued: 0 });
  // What is reported in the seconds after it is the run's as well.
  const told = await vi.waitFor(
    () => {
      const found = events.find(({ reason }) => reason === "Shield");
      if (found === undefined) throw new Error("no event yet");
      return found.message;
    },
    { timeout: 8000 },
  );
  const { shield } = await waitFor(cluster, "shielded", (object) => {
    const count = object.status?.shield?.rescued ?? 0;
    return (
      told === `the primary answered ${count} users in the canary's place, 0 met its failure` && object.status
    );
  });
  expect(shield?.rescued).toBeGreaterThan(status?.shield?.rescued ?? 0);
  await running?.close();
});

test("without an API server the mesh cuts the canary off, until the route says it", async () => {
  let cut = false;
  const { signals } = await initialized(
    "silent",
    [20, 60],
    breakableClient(() => cut),
  );
  await setImage("silent", "app:2");
  await expect.poll(() => weightsOf("silent"), { interval: 10, timeout: 5000 }).toEqual([80, 20]);
  cut = true;
  signals.outage = true;
  await expect.poll(() => signals.cuts.length, { interval: 10, timeout: 3000 }).toBeGreaterThan(0);
  expect(signals.cuts[0]).toMatchObject({
    canaryDestinations: ["silent-canary.default.svc.cluster.local"],
    primaryDestination: "silent-primary.default.svc.cluster.local",
  });
  await expect.poll(() => signals.cuts.length, { interval: 50, timeout: 3000 }).toBeGreaterThan(1);
  expect(signals.released).toEqual([]);
  cut = false;
  await waitFor(cluster, "silent", ({ status }) => status?.phase === "Failed");
  expect(await weightsOf("silent")).toEqual([100, 0]);
  await expect.poll(() => signals.released).toContain(signals.cuts[0]?.id);
  await running?.close();
});

test("killed in the middle of the analysis, it goes on where it was", async () => {
  const first = await initialized("killed", [20, 60]);
  await setImage("killed", "app:2");
  const { status } = await waitFor(
    cluster,
    "killed",
    (object) => object.status?.canaryWeight === 20 && object,
  );
  first.kill();
  running = await startTestController(cluster);
  const end = await waitFor(cluster, "killed", (object) => object.status?.phase === "Succeeded" && object);
  expect(end.status?.history?.[0]).toMatchObject({ run: status?.run?.id, outcome: "promoted" });
  await first.close();
  await running.close();
});

test("killed between a rollback and its status, the weight stays at 0 and the status follows", async () => {
  let dead = false;
  const first = await initialized(
    "halfway",
    [20, 60],
    breakableClient((write) => dead && write === "replace Canary"),
  );
  await setImage("halfway", "app:2");
  await expect.poll(() => weightsOf("halfway"), { interval: 10, timeout: 5000 }).toEqual([80, 20]);
  dead = true;
  first.signals.outage = true;
  await expect.poll(() => weightsOf("halfway"), { interval: 10, timeout: 3000 }).toEqual([100, 0]);
  first.kill();
  const stored = await cluster.client.get(CanaryKind, "default", "halfway");
  expect(stored?.status?.phase).toBe("Progressing");
  running = await startTestController(cluster);
  const { status } = await waitFor(
    cluster,
    "halfway",
    (object) => object.status?.phase === "Failed" && object,
  );
  expect(status?.failure?.reason).toBe("TripWire");
  expect(await weightsOf("halfway")).toEqual([100, 0]);
  await first.close();
  await running.close();
});

test("what is wrong with a Canary stands in its conditions, and other canaries go on", async () => {
  const analysis = { interval: "1s", threshold: 2, stepWeights: [50] };
  await cluster.client.create(DeploymentKind, deployment("taken", "app:1"));
  await cluster.client.create(CanaryKind, canary("taken", analysis));
  const second = canary("taken-too", analysis);
  await cluster.client.create(CanaryKind, {
    ...second,
    spec: { ...second.spec, targetRef: canary("taken", analysis).spec.targetRef },
  });
  await cluster.client.create(CanaryKind, canary("nowhere", analysis));
  await cluster.client.create(CanaryKind, canary("pausing", { ...analysis, interval: "0s" }));
  const stalled = async (name: string) =>
    waitFor(cluster, name, ({ status }) =>
      status?.conditions?.find(({ type, status: is }) => type === "Stalled" && is === "True"),
    );
  running = await startTestController(cluster);
  expect(await stalled("taken-too")).toMatchObject({
    reason: "TargetTaken",
    message: "deployment `taken` is already the target of canary `taken`",
  });
  expect(await stalled("nowhere")).toMatchObject({ reason: "TargetNotFound" });
  expect(await stalled("pausing")).toMatchObject({
    reason: "InvalidSpec",
    message: expect.stringContaining("interval"),
  });
  await waitFor(cluster, "taken", ({ status }) => status?.phase === "Initialized");
  await cluster.client.create(DeploymentKind, deployment("nowhere", "app:1"));
  await waitFor(cluster, "nowhere", ({ status }) => status?.phase === "Initialized");
  await running.close();
});
