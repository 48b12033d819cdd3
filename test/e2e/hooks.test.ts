/** A Canary's webhooks, gates, rollback switch and alerts through whole rollouts: a real receiver, the real gates. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DeploymentKind } from "../../api/core.ts";
import type { CanaryWebhook } from "../../api/generated/canaries.ts";
import type { Hooks, HookType } from "../../api/hooks.ts";
import { AlertProviderKind, CanaryKind } from "../../api/kinds.ts";
import {
  canary,
  deployment,
  startTestCluster,
  type TestCluster,
  waitFor,
} from "../../controller/testing/cluster.ts";
import { startTestController, type TestController } from "../../controller/testing/process.ts";
import { createAddressGuard } from "../../lib/address-guard.ts";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { createAlerts } from "../../webhooks/alerts/send.ts";
import { createHooks } from "../../webhooks/hooks/call.ts";
import { type Gates, serveGates } from "../../webhooks/hooks/gates.ts";

interface Call {
  readonly path: string;
  readonly phase: string;
  readonly checksum: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly severity?: string;
  readonly message?: string;
}

let cluster: TestCluster;
let controller: TestController;
let gates: Gates;
let hooks: Hooks & { close(): Promise<void> };
let receiver: Server;
let address = "";
const calls: Call[] = [];

beforeAll(async () => {
  cluster = await startTestCluster();
  gates = await openGates(0);
  receiver = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    request.on("end", () => {
      calls.push({ path: request.url ?? "", ...JSON.parse(text) });
      // Whoever has nothing to say against it answers 2xx; a rollback hook asks for nothing by 403.
      response.writeHead(request.url === "/rollback" ? 403 : 204).end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  const guard = createAddressGuard({ loopback: true });
  const { client } = cluster;
  await client.create(AlertProviderKind, {
    apiVersion: "flagger.app/v1beta1",
    kind: "AlertProvider",
    metadata: { name: "chat", namespace: "default" },
    spec: { type: "webhook", address: `${address}/alert` },
  });
  const provider = await client.get(AlertProviderKind, "default", "chat");
  const alerts = createAlerts({
    ...{ clock: systemClock, logger: silent, guard },
    provider: () => provider,
    secret: () => undefined,
  });
  hooks = createHooks({ clock: systemClock, guard, alerts });
  controller = await startTestController(cluster, { hooks });
});

afterAll(async () => {
  await controller.close();
  await hooks.close();
  await gates.close();
  await new Promise((resolve) => receiver.close(resolve));
  await cluster.close();
});

const openGates = (port: number) =>
  serveGates({ host: "127.0.0.1", port, client: cluster.client, logger: silent });

const types: readonly HookType[] = [
  "confirm-rollout",
  "pre-rollout",
  "rollout",
  "confirm-traffic-increase",
  "confirm-promotion",
  "post-rollout",
  "event",
  "rollback",
];

/** A Canary at rest, then given a new version. */
async function release(name: string, webhooks: readonly CanaryWebhook[]): Promise<void> {
  await cluster.client.create(DeploymentKind, deployment(name, "app:1"));
  await cluster.client.create(
    CanaryKind,
    canary(name, {
      interval: "1s",
      threshold: 2,
      stepWeights: [20, 60],
      webhooks,
      alerts: [{ name: "all", severity: "info", providerRef: { name: "chat" } }],
    }),
  );
  await waitFor(cluster, name, ({ status }) => status?.phase === "Initialized");
  // Alerts wait for nobody: the first one may come after the phase.
  await expect.poll(() => calls.some(({ path }) => path === "/alert"), { timeout: 10_000 }).toBe(true);
  calls.length = 0;
  await cluster.client.patch(DeploymentKind, "default", name, {
    kind: "json",
    operations: [{ op: "replace", path: "/spec/template/spec/containers/0/image", value: "app:2" }],
  });
}

async function post(path: string, name: string): Promise<number> {
  const body = JSON.stringify({ name, namespace: "default" });
  const answer = await fetch(`http://127.0.0.1:${gates.port}${path}`, { method: "POST", body });
  return answer.status;
}

test("all eight hooks are called in Flagger's order with its payload and phases", async () => {
  await release(
    "shop",
    types.map((type) => ({ name: type, type, url: `${address}/${type}`, metadata: { user: "own" } })),
  );
  await waitFor(cluster, "shop", ({ status }) => status?.phase === "Succeeded" && !status.cleanup);
  const asked = calls.filter(({ path }) => !["/event", "/alert", "/rollback"].includes(path));
  expect(asked.map(({ path, phase }) => `${path.slice(1)} ${phase}`)).toEqual([
    "confirm-rollout Initialized",
    "pre-rollout Progressing",
    "confirm-traffic-increase Progressing",
    "rollout Progressing",
    "confirm-traffic-increase Progressing",
    "rollout Progressing",
    "confirm-promotion Progressing",
    "post-rollout Succeeded",
  ]);
  expect(calls.filter(({ path }) => path === "/rollback").length).toBeGreaterThanOrEqual(3);
  expect(new Set(asked.slice(1).map(({ checksum }) => checksum)).size).toBe(1);
  expect(asked.every(({ metadata }) => metadata.user === "own")).toBe(true);

  const events = calls.filter(({ path }) => path === "/event");
  const told = events.map(({ metadata }) => metadata.eventMessage);
  expect(told).toEqual(expect.arrayContaining(["Advance shop.default canary weight 20"]));
  expect(told.indexOf("Advance shop.default canary weight 20")).toBeLessThan(
    told.indexOf("Promotion completed! Scaling down shop.default"),
  );
  expect(events[0]?.metadata).toMatchObject({ eventType: "Normal", user: "own" });
  expect(Number(events[0]?.metadata.timestamp)).toBeGreaterThan(Date.now() - 60_000);

  const alerts = () => calls.filter(({ path }) => path === "/alert");
  await expect
    .poll(() => alerts().map(({ severity, message }) => `${severity} ${message}`), { timeout: 10_000 })
    .toEqual([
      "info New revision detected, progressing canary analysis.",
      "info Canary analysis completed successfully, promotion finished.",
    ]);
});

test("a gate is closed until it is opened, is told once, and outlives its server; the switch takes a canary back", async () => {
  const at = `http://127.0.0.1:${gates.port}`;
  await release("bank", [
    { name: "approval", type: "confirm-promotion", url: `${at}/gate/check` },
    { name: "panic", type: "rollback", url: `${at}/rollback/check` },
  ]);
  await waitFor(cluster, "bank", ({ status }) => status?.phase === "WaitingPromotion");
  expect(await post("/gate/check", "bank")).toBe(403);
  await waitFor(cluster, "bank", ({ status }) => (status?.checks ?? status?.run?.tickedAt) !== undefined);
  const waiting = calls.filter(({ message }) => message === "Canary promotion is waiting for approval.");
  expect(waiting.map(({ severity }) => severity)).toEqual(["warn"]);

  expect(await post("/rollback/open", "bank")).toBe(202);
  const { port } = gates;
  await gates.close();
  gates = await openGates(port);
  expect(await post("/rollback/check", "bank")).toBe(200);
  const { status } = await waitFor(cluster, "bank", (object) => object.status?.phase === "Failed" && object);
  expect(status?.failure).toMatchObject({ reason: "Hook", message: "rollback hook panic" });
  await expect
    .poll(() => calls.at(-1))
    .toMatchObject({
      severity: "warn",
      message: "Rolling back manual webhook invoked: rollback hook panic",
    });
});

test("the gates answer as Flagger's load tester does", async () => {
  expect(await post("/gate/approve", "x")).toBe(200);
  expect(await post("/gate/halt", "x")).toBe(403);
  expect(await post("/gate/open", "nobody")).toBe(404);
  expect(await post("/gate/open", "bank")).toBe(202);
  expect(await post("/gate/check", "bank")).toBe(200);
  expect(await post("/gate/close", "bank")).toBe(202);
  expect(await post("/gate/check", "bank")).toBe(403);
  const answer = await fetch(`http://127.0.0.1:${gates.port}/gate/open`, { method: "POST", body: "{}" });
  expect(answer.status).toBe(400);
});
