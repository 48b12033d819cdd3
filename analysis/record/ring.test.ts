/** Recorded runs in ConfigMaps, on an API server. */
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import {
  type ConfigMap,
  ConfigMapKind,
  CustomResourceDefinitionKind,
  NamespaceKind,
} from "../../api/core.ts";
import { crds } from "../../api/crds.ts";
import { type Canary, CanaryKind } from "../../api/kinds.ts";
import { openConnection } from "../../cli/open-cluster.ts";
import { createClient } from "../../kube/client.ts";
import type { Client } from "../../kube/contract.ts";
import { discoverKind } from "../../kube/discovery.ts";
import { loadConnection } from "../../kube/kubeconfig.ts";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { startTestApiServer, type TestApiServer } from "../../local/testing/api-server.ts";
import { faultyWorld } from "../simulate/scenarios.ts";
import { epoch, recordRun, settingsOf } from "../testing/recorded-run.ts";
import { type RecordHead, readRecord } from "./format.ts";
import { createRecordStore } from "./recording.ts";
import { replayRun } from "./replay-analysis.ts";
import { configMapShelves, listConfigMapRecords } from "./ring.ts";

let server: TestApiServer;
let client: Client;
let canaryUid = "";

beforeAll(async () => {
  server = await startTestApiServer();
  client = createClient(await loadConnection({ kubeconfig: server.kubeconfig }));
  await client.create(NamespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name: "demo" } });
  for (const crd of crds) await client.create(CustomResourceDefinitionKind, crd);
  await vi.waitUntil(() => discoverKind(client, "flagger.app/v1beta1", "Canary"));
  const canary: Canary = {
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: "shop", namespace: "demo" },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      service: { port: 80 },
      analysis: { interval: "10s", threshold: 1 },
    },
  };
  canaryUid = (await client.create(CanaryKind, canary)).metadata.uid ?? "";
}, 30_000);

afterAll(async () => {
  await client.close();
  await server.close();
});

const open = () => createRecordStore(configMapShelves(client), systemClock, silent);
const headOf = (run: string, canary: string): RecordHead => ({
  ...{ v: 1, kind: "run", run, namespace: "demo", canary, canaryUid, revision: "v2:abc" },
  ...{ at: epoch, bounds: [100], base: { interval: 1000, steps: [10] }, judge: null },
  advance: settingsOf().advance,
});

async function keep(
  run: string,
  outcome: "promoted" | "rolled back",
  canary = "shop",
  mode: "always" | "onFailure" = "always",
) {
  const store = open();
  const recording = store.open(headOf(run, canary), mode, undefined);
  recording.recorder.weight(10, epoch + 1000);
  recording.end({ outcome }, epoch + 2000);
  await store.close();
}

const runsOf = async (canary: string) =>
  (await listConfigMapRecords(client, "demo"))
    .filter((record) => record.canary === canary)
    .map(({ run }) => run);

test("the last three runs of a canary are kept beside it, and go with it", async () => {
  for (const run of ["r1", "r2", "r3", "r4", "r5"]) await keep(run, "promoted");
  await keep("other", "promoted", "mail");
  expect(await runsOf("shop")).toEqual(["r5", "r4", "r3"]);
  expect(await runsOf("mail")).toEqual(["other"]);
  const { items } = await client.list<ConfigMap>(ConfigMapKind, {
    namespace: "demo",
    labelSelector: "fairlead.dev/record",
  });
  const own = items.filter(({ metadata }) => metadata.name.startsWith("fairlead-run-shop-"));
  expect(own).toHaveLength(3);
  expect(own.map(({ metadata }) => metadata.ownerReferences?.[0]?.uid)).toEqual([
    canaryUid,
    canaryUid,
    canaryUid,
  ]);
  const [newest] = await listConfigMapRecords(client, "demo");
  expect(readRecord(newest?.text() ?? "").rows.map(({ k }) => k)).toEqual(["weight", "end"]);
});

test("with onFailure a promoted run leaves its place to the next", async () => {
  await keep("bad", "rolled back", "cart", "onFailure");
  await keep("good", "promoted", "cart", "onFailure");
  expect(await runsOf("cart")).toEqual(["bad"]);
  await keep("worse", "rolled back", "cart", "onFailure");
  expect(await runsOf("cart")).toEqual(["worse", "bad"]);
});

test("a run goes on after a restart of the control plane, and is judged again as one", async () => {
  await keep("half", "rolled back", "wish");
  const store = open();
  const recording = store.open({ ...headOf("half", "wish"), at: epoch + 60_000 }, "always", "{}");
  recording.recorder.weight(20, epoch + 61_000);
  recording.end({ outcome: "rolled back" }, epoch + 62_000);
  await store.close();
  expect(await runsOf("wish")).toEqual(["half"]);
  const [found] = (await listConfigMapRecords(client, undefined)).filter(({ canary }) => canary === "wish");
  const { rows } = readRecord(found?.text() ?? "");
  expect(rows.map(({ k }) => k)).toEqual(["weight", "end", "resumed", "weight", "end"]);
  // Times go on from where the record began.
  expect(rows.at(-1)?.t).toBe(62_000);
});

test("a whole run fits, and gives the verdict that it had", async () => {
  const scenario = faultyWorld("errors 10%", 200, 0.001, 40);
  const { text, verdict } = recordRun(scenario, settingsOf({ sequential: {} }));
  const shelf = configMapShelves(client).open(headOf("r1", "whole"));
  await shelf.begin();
  await shelf.add(gzipSync(text));
  const [found] = (await listConfigMapRecords(client, "demo")).filter(({ canary }) => canary === "whole");
  expect(found?.size).toBeLessThan(20_000);
  const record = readRecord(found?.text() ?? "");
  expect(replayRun(record)).toEqual(replayRun(readRecord(text)));
  expect(replayRun(record).verdict).toBe(verdict);
});

test("rooms that watch ConfigMaps do not hold records in memory", async () => {
  await keep("r1", "promoted", "unwatched");
  const opened = openConnection(await loadConnection({ kubeconfig: server.kubeconfig }), silent);
  const plain = (name: string): ConfigMap => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "demo" },
  });
  await client.create(ConfigMapKind, plain("first"));
  await opened.informers.watch(ConfigMapKind);
  await keep("r2", "promoted", "unwatched");
  await client.create(ConfigMapKind, plain("second"));
  const names = (): string[] =>
    opened.informers
      .snapshot()
      .list(ConfigMapKind, "demo")
      .map(({ metadata }) => metadata.name)
      .filter((name) => !name.startsWith("kube-"));
  await vi.waitUntil(() => names().includes("second"));
  expect(names()).toEqual(["first", "second"]);
  await opened.close();
});

test("an api server that is away stops no run, and what it missed comes with the next writing", async () => {
  let away = true;
  const shaky: Client = {
    ...client,
    patch: (...args) => (away ? Promise.reject(new Error("away")) : client.patch(...args)),
  };
  const shelf = configMapShelves(shaky).open(headOf("r1", "far"));
  expect(await shelf.begin()).toBeUndefined();
  await expect(shelf.add(Buffer.from("one "))).rejects.toThrow("away");
  away = false;
  await shelf.add(Buffer.from("two"));
  const [found] = (await listConfigMapRecords(client, "demo")).filter(({ canary }) => canary === "far");
  expect(found?.text()).toBe("one two");
});
