/** The commands that tell a running controller what to do, as a user types them. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { actionAnnotation, revisionAnnotation } from "../../api/annotations.ts";
import { DeploymentKind, NamespaceKind } from "../../api/core.ts";
import { CanaryKind } from "../../api/kinds.ts";
import {
  canary,
  deployment,
  startTestCluster,
  type TestCluster,
  waitFor,
} from "../../controller/testing/cluster.ts";
import { startTestController, type TestController } from "../../controller/testing/process.ts";
import { type BackgroundRecorder, createRecorder } from "../../kube/events.ts";
import { silent } from "../../lib/log.ts";

let cluster: TestCluster;
let recorder: BackgroundRecorder;
let controller: TestController;

const main = join(import.meta.dirname, "../../cli/main.ts");
const shop = "shop";

beforeAll(async () => {
  cluster = await startTestCluster();
  recorder = createRecorder(cluster.client, silent);
  controller = await startTestController(cluster, { recorder });
  await cluster.client.create(DeploymentKind, deployment(shop, "app:1"));
  const analysis = { interval: "1m", threshold: 2, stepWeights: [20, 60] };
  await cluster.client.create(CanaryKind, canary(shop, analysis));
  await reached("Initialized");
});

afterAll(async () => {
  recorder.close();
  await controller.close();
  await cluster.close();
});

async function fairlead(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const { FORCE_COLOR: _colour, ...inherited } = process.env;
  const env = { ...inherited, KUBECONFIG: cluster.kubeconfig, NO_COLOR: "1" };
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => (out += String(chunk)));
  child.stderr.on("data", (chunk) => (err += String(chunk)));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, out, err };
}

const reached = (phase: string, weight?: number) =>
  waitFor(
    cluster,
    shop,
    ({ status }) => status?.phase === phase && (weight === undefined || status.canaryWeight === weight),
  );

async function release(image: string): Promise<void> {
  await cluster.client.patch(DeploymentKind, "default", shop, {
    kind: "json",
    operations: [{ op: "replace", path: "/spec/template/spec/containers/0/image", value: image }],
  });
  await reached("Progressing", 20);
}

test("a person moves a canary, holds it, and promotes it; who and why stand in its events", async () => {
  await release("app:2");
  const set = await fairlead("set-weight", shop, "35", "--by", "ana", "--reason", "looks good");
  expect(set).toEqual({
    code: 0,
    out: "Action `set-weight=35` on shop.default by ana (looks good)\nshop: Progressing, 35 %\n",
    err: "",
  });
  expect((await fairlead("skip", shop)).out).toContain("shop: Progressing, 60 %");
  expect((await fairlead("pause", shop)).code).toBe(0);
  expect((await fairlead("watch", shop, "--once")).out).toMatch(/held at weight 60: the canary is paused/);
  const promoted = await fairlead("promote", shop, "--by", "ana", "-o", "json");
  expect(JSON.parse(promoted.out)).toMatchObject({ canary: shop, action: "promote", outcome: "done" });
  await reached("Succeeded");
  await fairlead("resume", shop);
  expect((await fairlead("history", shop)).out).toMatch(/^[0-9a-f]{10} {3}promoted {3}100 %/m);
});

test("abort takes the canary to 0 at once, and retry analyses it again", async () => {
  await release("app:3");
  expect((await fairlead("abort", shop, "--by", "ana", "--reason", "wrong day")).out).toContain(
    "shop: Failed",
  );
  expect((await fairlead("why", shop)).out).toContain("Aborted: aborted by ana: wrong day");
  expect((await fairlead("retry", shop)).code).toBe(0);
  await reached("Progressing", 20);
  expect((await fairlead("abort", shop)).code).toBe(0);
});

test("what does not apply is refused with the reason, and an action for another revision is stale", async () => {
  expect(await fairlead("promote", shop, "--by", "ana")).toEqual({
    code: 1,
    out: "",
    err: "refused: Action `promote` on shop.default by ana: no analysis is under way\n",
  });
  const stale = await fairlead("retry", shop, "--revision", "v2:000");
  expect(stale.err).toContain("it is for revision v2:000, which is not the present one");
  const { metadata } = await reached("Failed")
    .then(() => cluster.client.get(CanaryKind, "default", shop))
    .then((object) => ({ metadata: object?.metadata }));
  expect(metadata?.annotations ?? {}).not.toHaveProperty(actionAnnotation);
  expect(metadata?.annotations ?? {}).not.toHaveProperty(revisionAnnotation);
  expect(await fairlead("set-weight", shop, "101")).toMatchObject({ code: 2 });
});

test("a gate that is closed by hand holds the canary until it is opened", async () => {
  const gate = (word: string | null) =>
    cluster.client.patch(CanaryKind, "default", shop, {
      kind: "merge",
      body: { metadata: { annotations: { "gate.fairlead.dev/confirm-rollout": word } } },
    });
  await gate("closed");
  await cluster.client.patch(DeploymentKind, "default", shop, {
    kind: "json",
    operations: [{ op: "replace", path: "/spec/template/spec/containers/0/image", value: "app:4" }],
  });
  await reached("Waiting");
  const { out } = await fairlead("watch", shop, "--once");
  expect(out).toContain("Halt shop.default advancement waiting for approval confirm-rollout");
  await gate("open");
  await reached("Progressing", 20);
});

test("beside a Flagger nothing is touched; migrate says what would happen, waits for releases, and takes over", async () => {
  const flagger = deployment("flagger", "ghcr.io/fluxcd/flagger:1.44.0");
  const system = "flagger-system";
  await cluster.client.create(NamespaceKind, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: system },
  });
  await cluster.client.create(DeploymentKind, {
    ...flagger,
    metadata: { ...flagger.metadata, namespace: system },
  });
  // The run of this controller's own goes on to its end.
  const busy = await fairlead("migrate", "flagger", "--stop");
  expect(busy).toMatchObject({ code: 1 });
  expect(busy.out).toContain("Flagger runs as deployment flagger-system/flagger, for all namespaces");
  expect(busy.out).toMatch(/default +shop +Progressing +under-way +in phase Progressing at weight 20/);
  expect(busy.err).toContain("not stopped: 1 releases are under way");
  await fairlead("abort", shop);
  await waitFor(cluster, shop, ({ status }) => status?.phase === "Failed" && !status.cleanup);

  await cluster.client.create(DeploymentKind, deployment("other", "app:1"));
  await cluster.client.create(
    CanaryKind,
    canary("other", { interval: "1m", threshold: 2, stepWeights: [20] }),
  );
  const asked = await fairlead("migrate", "flagger", "-o", "json");
  expect(asked.code).toBe(1);
  expect(JSON.parse(asked.out)).toMatchObject({ stopped: false });
  expect((await cluster.client.get(CanaryKind, "default", "other"))?.status).toBeUndefined();

  const stopped = await fairlead("migrate", "flagger", "--stop");
  expect(stopped).toMatchObject({ code: 0, err: "" });
  expect(stopped.out).toContain("fairlead's controller drives these Canaries now");
  await waitFor(cluster, "other", ({ status }) => status?.phase === "Initialized");
});
