/** The room against an API server (`npm run e2e -- --cluster real` has a real one): TLS, client certificates, the real protocol. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import {
  type ConfigMap,
  ConfigMapKind,
  CustomResourceDefinitionKind,
  DeploymentKind,
  EventKind,
  NamespaceKind,
} from "../api/core.ts";
import { crds } from "../api/crds.ts";
import { type Canary, CanaryKind } from "../api/kinds.ts";
import { silent } from "../lib/log.ts";
import { startTestApiServer, type TestApiServer, testApiServer } from "../local/testing/api-server.ts";
import { createClient } from "./client.ts";
import type { Client } from "./contract.ts";
import { discoverKind, findKind } from "./discovery.ts";
import { isConflict, isInvalid } from "./error.ts";
import { createRecorder } from "./events.ts";
import { createInformers } from "./informer.ts";
import { annotationOperations, testVersion } from "./json-patch.ts";
import { loadConnection } from "./kubeconfig.ts";
import { startLease } from "./lease.ts";
import { createPatchStatus } from "./patch-status.ts";

let server: TestApiServer;
let client: Client;

beforeAll(async () => {
  server = await startTestApiServer();
  client = createClient(await loadConnection({ kubeconfig: server.kubeconfig }));
  await client.create(NamespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name: "demo" } });
  for (const crd of crds) await client.create(CustomResourceDefinitionKind, crd);
  await vi.waitUntil(() => discoverKind(client, "flagger.app/v1beta1", "Canary"));
});

afterAll(async () => {
  await client.close();
  await server.close();
});

const configMap = (name: string, data: Record<string, string> = {}): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { namespace: "demo", name },
  data,
});

test("an object's life: create, read, replace, patch, delete", async () => {
  const created = await client.create(ConfigMapKind, configMap("life", { a: "1" }));
  expect(created.metadata.uid).toBeDefined();
  const replaced = await client.replace(ConfigMapKind, { ...created, data: { a: "2" } });
  const stale: unknown = await client
    .replace(ConfigMapKind, { ...created, data: {} })
    .catch((error: unknown) => error);
  expect(isConflict(stale)).toBe(true);
  const operations = [testVersion(replaced), ...annotationOperations(replaced, { "fairlead.dev/run": "{}" })];
  const patched = await client.patch(ConfigMapKind, "demo", "life", { kind: "json", operations });
  expect(patched.metadata.annotations).toEqual({ "fairlead.dev/run": "{}" });
  const late: unknown = await client
    .patch(ConfigMapKind, "demo", "life", { kind: "json", operations })
    .catch((error: unknown) => error);
  expect(isInvalid(late) || isConflict(late)).toBe(true);
  await client.delete(ConfigMapKind, "demo", "life", { uid: "another" });
  expect(await client.get(ConfigMapKind, "demo", "life")).toBeDefined();
  await client.delete(ConfigMapKind, "demo", "life", { uid: created.metadata.uid ?? "" });
  expect(await client.get(ConfigMapKind, "demo", "life")).toBeUndefined();
});

test("a dry run stores nothing", async () => {
  await client.create(ConfigMapKind, configMap("dry"), { dryRun: true });
  expect(await client.get(ConfigMapKind, "demo", "dry")).toBeUndefined();
});

test("kinds are found by the words that kubectl takes", async () => {
  for (const word of ["deployment", "deployments", "deploy", "deployments.apps"]) {
    expect(await findKind(client, word)).toMatchObject({
      plural: "deployments",
      group: "apps",
      namespaced: true,
    });
  }
  expect(await findKind(client, "canaries.flagger.app")).toMatchObject({ kind: "Canary" });
  expect(await findKind(client, "nothing")).toBeUndefined();
});

const canary = (name: string): Canary => ({
  apiVersion: "flagger.app/v1beta1",
  kind: "Canary",
  metadata: { namespace: "demo", name },
  spec: {
    targetRef: { apiVersion: "apps/v1", kind: "Deployment", name },
    service: { port: 80 },
    analysis: { interval: "1s", threshold: 5, maxWeight: 50, stepWeight: 10 },
  },
});

test("statuses of several writers come together", async () => {
  await client.create(CanaryKind, canary("shop"));
  const patchStatus = createPatchStatus(client);
  const count = () =>
    patchStatus(CanaryKind, { namespace: "demo", name: "shop" }, ({ status }) => ({
      ...status,
      phase: "Progressing",
      iterations: (status?.iterations ?? 0) + 1,
    }));
  await Promise.all([count(), count(), count(), count(), count()]);
  expect((await client.get(CanaryKind, "demo", "shop"))?.status).toMatchObject({
    phase: "Progressing",
    iterations: 5,
  });
});

test("an event is stored once and counted", async () => {
  const object = await client.create(CanaryKind, canary("told"));
  const recorder = createRecorder(client, silent);
  for (let time = 0; time < 3; time++) {
    recorder.event(object, "Normal", "Synced", "advance told.demo canary weight 10");
    await recorder.flush();
  }
  recorder.close();
  const { items } = await client.list(EventKind, {
    namespace: "demo",
    fieldSelector: "involvedObject.name=told",
  });
  expect(items).toMatchObject([{ count: 3, reason: "Synced", involvedObject: { uid: object.metadata.uid } }]);
});

test("a lease is taken and handed over", async () => {
  const options = { namespace: "demo", name: "controller-0", logger: silent };
  const first = startLease(client, { ...options, holder: "a" });
  await expect.poll(() => first.held()).toBe(true);
  const second = startLease(client, { ...options, holder: "b" });
  await first.release();
  await expect.poll(() => second.held(), { timeout: 3_000 }).toBe(true);
  expect([first.epoch(), second.epoch()]).toEqual([1, 2]);
  await second.release();
});

// A real one is ended with its etcd: there is nothing to come back to.
test.skipIf(testApiServer === "real")(
  "informers follow the server through its restart",
  async () => {
    const informers = createInformers(client, silent);
    await client.create(ConfigMapKind, configMap("before"));
    await informers.watch(ConfigMapKind, DeploymentKind);
    const seen: string[] = [];
    informers.onChange(ConfigMapKind, ({ kind, object }) => {
      if (object.metadata.namespace === "demo") seen.push(`${kind} ${object.metadata.name}`);
    });
    await client.create(ConfigMapKind, configMap("first"));
    await client.delete(ConfigMapKind, "demo", "before");
    await expect.poll(() => seen).toEqual(["added first", "deleted before"]);
    await server.restart();
    await client.create(ConfigMapKind, configMap("second"));
    await client.patch(ConfigMapKind, "demo", "first", { kind: "merge", body: { data: { a: "1" } } });
    // A restarted server may have forgotten its history: a new list tells the same changes in another order.
    const all = ["added first", "added second", "deleted before", "modified first"];
    await expect.poll(() => seen.toSorted(), { timeout: 20_000 }).toEqual(all);
    expect(informers.snapshot().get(ConfigMapKind, "demo", "first")?.data).toEqual({ a: "1" });
    informers.close();
  },
  40_000,
);
