/** Whole rollouts against the embedded API server; pods are called ready by a loop, signals are scripted. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { rollbackAnnotation, runAnnotation } from "../api/annotations.ts";
import { DeploymentKind, ServiceKind } from "../api/core.ts";
import { CanaryKind, VirtualServiceKind } from "../api/kinds.ts";
import { canary, deployment, startTestCluster, type TestCluster, waitFor } from "./testing/cluster.ts";
import { startTestController, type TestController } from "./testing/process.ts";

let cluster: TestCluster;
let running: TestController | undefined;

beforeAll(async () => {
  cluster = await startTestCluster();
});

afterAll(async () => {
  await running?.close();
  await cluster.close();
});

const metrics = [{ name: "request-success-rate", interval: "1m", thresholdRange: { min: 99 } }];

async function initialized(name: string, stepWeights: number[]): Promise<TestController> {
  await cluster.client.create(DeploymentKind, deployment(name, "app:1"));
  await cluster.client.create(
    CanaryKind,
    canary(name, { interval: "1s", threshold: 2, stepWeights, metrics }),
  );
  running = await startTestController(cluster);
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
  await waitFor(cluster, "outage", ({ status }) => status?.canaryWeight === 20);
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
