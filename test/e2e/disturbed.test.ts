/** Rollouts that somebody disturbs (3.11 of the reliability goals): each row ends in the state that its author meant. Scalers and deletion in every phase: controller/disturbed.test.ts. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Deployment, DeploymentKind, ServiceKind } from "../../api/core.ts";
import { CanaryKind, DestinationRuleKind, VirtualServiceKind } from "../../api/kinds.ts";
import type { Kind } from "../../api/resource.ts";
import {
  canary,
  deployment,
  startTestCluster,
  type TestCluster,
  waitFor,
} from "../../controller/testing/cluster.ts";
import { startTestController, type TestController } from "../../controller/testing/process.ts";
import type { Informers } from "../../kube/contract.ts";
import { recordHistory } from "../soak/crash/history.ts";
import { brokenInvariants } from "../soak/crash/invariants.ts";
import { kinds } from "../soak/crash/kinds.ts";

let cluster: TestCluster;
let controller: TestController;
let observer: Informers;
/** Deployments whose pods do not get ready. */
const unready = new Set<string>();

beforeAll(async () => {
  cluster = await startTestCluster();
  cluster.readiness = ({ metadata, spec }) =>
    !unready.has(`${metadata.name} ${spec?.template.spec?.containers[0]?.image}`);
  observer = cluster.informers();
  await observer.watch(...kinds);
  controller = await startTestController(cluster);
});

afterAll(async () => {
  await controller.close();
  await cluster.close();
});

const interval = 1000;

/** A canary that is under analysis at 20 %, version 2. */
async function underAnalysis(name: string, spec: object = {}, stepWeights = [20, 40, 60]): Promise<void> {
  await cluster.client.create(DeploymentKind, deployment(name, "app:1"));
  const object = canary(name, { interval: "1s", threshold: 2, stepWeights });
  await cluster.client.create(CanaryKind, { ...object, spec: { ...object.spec, ...spec } });
  await waitFor(cluster, name, ({ status }) => status?.phase === "Initialized");
  await setImage(name, "app:2");
  await waitFor(cluster, name, ({ status }) => status?.canaryWeight === 20);
}

async function setImage(name: string, image: string): Promise<void> {
  await cluster.client.patch(DeploymentKind, "default", name, {
    kind: "json",
    operations: [{ op: "replace", path: "/spec/template/spec/containers/0/image", value: image }],
  });
}

const reached = (name: string, phase: string) =>
  waitFor(cluster, name, ({ status }) => status?.phase === phase && !status.cleanup, 40_000);

const imageOf = (object: Deployment | undefined) => object?.spec?.template.spec?.containers[0]?.image;

/** What users get in the end. */
async function endState(name: string) {
  const { client } = cluster;
  const [route, apex, primary, target] = await Promise.all([
    client.get(VirtualServiceKind, "default", name),
    client.get(ServiceKind, "default", name),
    client.get(DeploymentKind, "default", `${name}-primary`),
    client.get(DeploymentKind, "default", name),
  ]);
  return {
    weights: route?.spec.http?.[0]?.route?.map(({ weight }) => weight),
    apex: apex?.spec?.selector?.app,
    primary: imageOf(primary),
    replicas: target?.spec?.replicas,
  };
}

const served = (name: string, image: string) => ({
  weights: [100, 0],
  apex: `${name}-primary`,
  primary: image,
  replicas: 0,
});

describe.concurrent("disturbed in the middle of the analysis", () => {
  test("a newer spec starts the analysis anew at weight 0, and is what is promoted", async () => {
    const name = "newer";
    await underAnalysis(name);
    const history = recordHistory(observer, "default");
    await setImage(name, "app:3");
    await reached(name, "Succeeded");
    history.stop();
    const own = history.versions().filter(({ object }) => object.metadata.name.startsWith(name));
    expect(brokenInvariants(own, name, interval)).toEqual([]);
    expect(await endState(name)).toEqual(served(name, "app:3"));
    const { status } = (await cluster.client.get(CanaryKind, "default", name)) ?? {};
    expect(status?.history?.map(({ outcome }) => outcome)).toEqual(["promoted", "restarted"]);
  });

  test("back at the old spec the run ends, and nothing was promoted", async () => {
    await underAnalysis("back");
    await setImage("back", "app:1");
    await reached("back", "Succeeded");
    expect(await endState("back")).toEqual(served("back", "app:1"));
  });

  test.for([
    ["vs", VirtualServiceKind, ""],
    ["apex", ServiceKind, ""],
    ["own", ServiceKind, "-canary"],
    ["rule", DestinationRuleKind, "-canary"],
    ["prim", DeploymentKind, "-primary"],
  ] as readonly (readonly [string, Kind, string])[])(
    "what was generated and is deleted is made again: %s",
    async ([name, kind, end]) => {
      await underAnalysis(name);
      await cluster.client.delete(kind, "default", `${name}${end}`);
      await reached(name, "Succeeded");
      expect(await endState(name)).toEqual(served(name, "app:2"));
    },
  );

  test("without its target the run ends, and the primary serves", async () => {
    await underAnalysis("gone");
    await cluster.client.delete(DeploymentKind, "default", "gone");
    const { status } = await waitFor(
      cluster,
      "gone",
      (object) => object.status?.phase === "Failed" && object,
    );
    expect(status?.failure?.reason).toBe("TargetDeleted");
    expect(await endState("gone")).toEqual({ ...served("gone", "app:1"), replicas: undefined });
  });

  test("paused it holds its weight, and goes on when resumed", async () => {
    const name = "paused";
    await underAnalysis(name);
    const pause = (value: string | null) =>
      cluster.client.patch(CanaryKind, "default", name, {
        kind: "merge",
        body: { metadata: { annotations: { "fairlead.dev/paused": value } } },
      });
    await pause("true");
    await waitFor(cluster, name, ({ status }) =>
      status?.conditions?.some(({ type, reason }) => type === "Ready" && reason === "Paused"),
    );
    const held = (await cluster.client.get(CanaryKind, "default", name))?.status?.canaryWeight;
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect((await cluster.client.get(CanaryKind, "default", name))?.status?.canaryWeight).toBe(held);
    await pause(null);
    await reached(name, "Succeeded");
    expect(await endState(name)).toEqual(served(name, "app:2"));
  });

  test("pods that quota or images keep from getting ready end the run at its deadline", async () => {
    const name = "quota";
    unready.add(`${name} app:2`);
    await cluster.client.create(DeploymentKind, deployment(name, "app:1"));
    const object = canary(name, { interval: "1s", threshold: 2, stepWeights: [20] });
    await cluster.client.create(CanaryKind, {
      ...object,
      spec: { ...object.spec, progressDeadlineSeconds: 3 },
    });
    await waitFor(cluster, name, ({ status }) => status?.phase === "Initialized");
    await setImage(name, "app:2");
    await reached(name, "Failed");
    const { status } = (await cluster.client.get(CanaryKind, "default", name)) ?? {};
    expect(status?.failure?.reason).toBe("Deadline");
    expect(await endState(name)).toEqual(served(name, "app:1"));
  });

  test("a primary that does not get ready in its promotion gets its former template back", async () => {
    const name = "broken";
    unready.add(`${name}-primary app:2`);
    await cluster.client.create(DeploymentKind, deployment(name, "app:1"));
    const object = canary(name, { interval: "1s", threshold: 2, stepWeights: [20] });
    await cluster.client.create(CanaryKind, {
      ...object,
      spec: { ...object.spec, progressDeadlineSeconds: 3 },
    });
    await waitFor(cluster, name, ({ status }) => status?.phase === "Initialized");
    await setImage(name, "app:2");
    await waitFor(cluster, name, ({ status }) => status?.phase === "Promoting");
    const primary = () => cluster.client.get(DeploymentKind, "default", `${name}-primary`);
    // What the Deployment controller says when its deadline has passed, and when the former pods are there again.
    const say = (conditions: readonly object[]) =>
      cluster.client.patch(
        DeploymentKind,
        "default",
        `${name}-primary`,
        { kind: "merge", body: { status: { conditions } } },
        "status",
      );
    await expect.poll(async () => imageOf(await primary())).toBe("app:2");
    const reason = "ProgressDeadlineExceeded";
    await say([{ type: "Progressing", status: "False", reason, message: "it has timed out" }]);
    await expect.poll(async () => imageOf(await primary()), { timeout: 10_000 }).toBe("app:1");
    await say([]);
    await reached(name, "Failed");
    const { status } = (await cluster.client.get(CanaryKind, "default", name)) ?? {};
    expect(status?.failure?.reason).toBe("Promotion");
    expect(await endState(name)).toEqual(served(name, "app:1"));
  });
});

describe.concurrent("the Canary is deleted", () => {
  test.for(["Progressing", "Promoting"] as const)(
    "in %s with revertOnDeletion: the target serves again, nothing is left over",
    async (phase) => {
      const name = `del-${phase.toLowerCase()}`;
      if (phase === "Promoting") unready.add(`${name}-primary app:2`);
      await underAnalysis(name, { revertOnDeletion: true }, [20]);
      await waitFor(cluster, name, ({ status }) => status?.phase === phase);
      const finalizers = (await cluster.client.get(CanaryKind, "default", name))?.metadata.finalizers;
      expect(finalizers).toContain("finalizer.flagger.app");
      await cluster.client.delete(CanaryKind, "default", name);
      await expect
        .poll(() => cluster.client.get(CanaryKind, "default", name), { timeout: 20_000 })
        .toBeUndefined();
      const target = await cluster.client.get(DeploymentKind, "default", name);
      expect(target?.spec?.replicas).toBeGreaterThan(0);
    },
  );
});
