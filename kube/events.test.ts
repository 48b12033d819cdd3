import { afterEach, beforeEach, expect, test } from "vitest";
import { EventKind } from "../api/core.ts";
import type { KubeObject } from "../api/resource.ts";
import { silent } from "../lib/log.ts";
import { createClient } from "./client.ts";
import type { Client } from "./contract.ts";
import { type BackgroundRecorder, createRecorder } from "./events.ts";
import { type FaultyApi, refuse, startFaultyApi } from "./testing/faulty-api.ts";

const shop: KubeObject = {
  apiVersion: "flagger.app/v1beta1",
  kind: "Canary",
  metadata: { namespace: "demo", name: "shop", uid: "u1" },
};
let api: FaultyApi;
let client: Client;
let recorder: BackgroundRecorder;

beforeEach(async () => {
  api = await startFaultyApi();
  client = createClient({ url: api.url });
  recorder = createRecorder(client, silent);
});

afterEach(async () => {
  recorder.close();
  await client.close();
  await api.close();
});

async function stored() {
  await recorder.flush();
  return (await client.list(EventKind)).items;
}

test("an event says who, what and why", async () => {
  recorder.event(shop, "Warning", "RolledBack", "error rate 43 %");
  expect(await stored()).toMatchObject([
    {
      involvedObject: { kind: "Canary", name: "shop", uid: "u1" },
      type: "Warning",
      reason: "RolledBack",
      message: "error rate 43 %",
      count: 1,
      source: { component: "fairlead" },
    },
  ]);
});

test("repeats raise a count, whether they wait or are stored", async () => {
  for (let index = 0; index < 3; index++) recorder.event(shop, "Normal", "Synced", "same");
  await recorder.flush();
  recorder.event(shop, "Normal", "Synced", "same");
  recorder.event(shop, "Normal", "Synced", "other");
  expect(
    (await stored())
      .map(({ message, count }) => ({ message, count }))
      .sort((a, b) => (b.count ?? 0) - (a.count ?? 0)),
  ).toEqual([
    { message: "same", count: 4 },
    { message: "other", count: 1 },
  ]);
});

test("an Event that was deleted meanwhile is written anew", async () => {
  recorder.event(shop, "Normal", "Synced", "same");
  for (const { metadata } of await stored()) await client.delete(EventKind, "demo", metadata.name);
  recorder.event(shop, "Normal", "Synced", "same");
  expect(await stored()).toHaveLength(1);
});

test("a server that is away for a moment loses none; a refusal is given up", async () => {
  let refusals = 2;
  const away = api.fault(({ method }, response) => {
    if (method !== "POST" || refusals-- <= 0) return false;
    refuse(response, 503, "ServiceUnavailable", "starting");
    return true;
  });
  recorder.event(shop, "Normal", "Synced", "late");
  expect(await stored()).toHaveLength(1);
  away();
  api.fault(({ method }, response) => {
    if (method === "POST") refuse(response, 403, "Forbidden", "no");
    return method === "POST";
  });
  recorder.event(shop, "Normal", "Synced", "refused");
  expect(await stored()).toHaveLength(1);
});

test("a flood is bounded: the newest stay", async () => {
  for (let index = 0; index < 1_500; index++) recorder.event(shop, "Normal", "Flood", `message ${index}`);
  const messages = (await stored()).map(({ message }) => message);
  expect(messages).toHaveLength(1_000);
  expect(messages).toContain("message 1499");
});
