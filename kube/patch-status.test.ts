import { afterEach, beforeEach, expect, test } from "vitest";
import { PodKind } from "../api/core.ts";
import { createClient } from "./client.ts";
import type { Client } from "./contract.ts";
import { createPatchStatus } from "./patch-status.ts";
import { type FaultyApi, refuse, startFaultyApi } from "./testing/faulty-api.ts";

const pods = "/api/v1/namespaces/demo/pods";
const ref = { namespace: "demo", name: "shop" };
let api: FaultyApi;
let client: Client;

beforeEach(async () => {
  api = await startFaultyApi();
  client = createClient({ url: api.url });
});

afterEach(async () => {
  await client.close();
  await api.close();
});

test("writers that meet lose no update", async () => {
  api.put(pods, { metadata: { name: "shop" } });
  const patchStatus = createPatchStatus(client);
  const add = () =>
    patchStatus(PodKind, ref, ({ status }) => ({ ...status, message: `${status?.message ?? ""}x` }));
  await Promise.all(Array.from({ length: 8 }, add));
  expect((await client.get(PodKind, "demo", "shop"))?.status?.message).toBe("xxxxxxxx");
});

test("writes nothing where nothing changes, or the object is gone", async () => {
  api.put(pods, { metadata: { name: "shop" } });
  const patchStatus = createPatchStatus(client);
  await patchStatus(PodKind, ref, () => ({ phase: "Running" }));
  await patchStatus(PodKind, ref, () => ({ phase: "Running" }));
  await patchStatus(PodKind, ref, () => undefined);
  expect(await patchStatus(PodKind, { ...ref, name: "gone" }, () => ({ phase: "Running" }))).toBeUndefined();
  expect(api.requests.filter(({ method }) => method === "PUT").map(({ path }) => path)).toEqual([
    `${pods}/shop/status`,
  ]);
});

test("gives up after a bounded number of conflicts", async () => {
  api.put(pods, { metadata: { name: "shop" } });
  api.fault(({ method }, response) => {
    if (method === "PUT") refuse(response, 409, "Conflict", "the object has been modified");
    return method === "PUT";
  });
  await expect(createPatchStatus(client)(PodKind, ref, () => ({ phase: "Running" }))).rejects.toMatchObject({
    reason: "Conflict",
  });
});
