import { afterEach, beforeEach, expect, test } from "vitest";
import { DeploymentKind, NamespaceKind, PodKind } from "../api/core.ts";
import { createClient } from "./client.ts";
import type { Client } from "./contract.ts";
import { ApiError, isAlreadyExists, isConflict, isNotFound, isUnreachable } from "./error.ts";
import { collect } from "./testing/collect.ts";
import { type FaultyApi, refuse, startFaultyApi } from "./testing/faulty-api.ts";

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

const pods = "/api/v1/namespaces/demo/pods";

test("what does not exist is undefined, and deleting it is done", async () => {
  expect(await client.get(PodKind, "demo", "shop")).toBeUndefined();
  await client.delete(PodKind, "demo", "shop");
});

test("a list is put together from its pages, each item with its kind", async () => {
  for (let index = 0; index < 1_203; index++) api.put(pods, { metadata: { name: `p${index}` } });
  const { items, resourceVersion } = await client.list(PodKind);
  expect(items).toHaveLength(1_203);
  expect(items[0]).toMatchObject({ apiVersion: "v1", kind: "Pod" });
  expect(Number(resourceVersion)).toBeGreaterThan(1_203);
  expect(api.requests.map(({ query }) => query.get("limit"))).toEqual(["500", "500", "500"]);
});

test("a list whose pages expired is asked for once more as a whole", async () => {
  for (let index = 0; index < 600; index++) api.put(pods, { metadata: { name: `p${index}` } });
  api.fault(({ query }, response) => {
    if (!query.has("continue")) return false;
    refuse(response, 410, "Expired", "the continue parameter is too old");
    return true;
  });
  expect((await client.list(PodKind)).items).toHaveLength(600);
  expect(api.requests).toHaveLength(3);
});

test("each write names the field manager, and each patch its type", async () => {
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { namespace: "demo", name: "shop" },
  };
  await client.create(DeploymentKind, deployment, { dryRun: true });
  await client.patch(DeploymentKind, "demo", "shop", { kind: "merge", body: { spec: {} } });
  await client.patch(DeploymentKind, "demo", "shop", { kind: "apply", body: deployment, force: true });
  await client.patch(
    DeploymentKind,
    "demo",
    "shop",
    { kind: "json", operations: [{ op: "remove", path: "/spec" }] },
    "status",
  );
  expect(api.requests.map(({ query }) => Object.fromEntries(query))).toEqual([
    { fieldManager: "fairlead", dryRun: "All" },
    { fieldManager: "fairlead" },
    { fieldManager: "fairlead", force: "true" },
    { fieldManager: "fairlead" },
  ]);
  expect(api.requests.map(({ headers }) => headers["content-type"])).toEqual([
    "application/json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
    "application/json-patch+json",
  ]);
  expect(api.requests[3]?.path).toBe("/apis/apps/v1/namespaces/demo/deployments/shop/status");
});

test("refusals keep Kubernetes' own words", async () => {
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "demo" } };
  const stored = await client.create(NamespaceKind, namespace);
  expect(
    isAlreadyExists(await client.create(NamespaceKind, namespace).catch((error: unknown) => error)),
  ).toBe(true);
  await client.replace(NamespaceKind, stored);
  const conflict: unknown = await client.replace(NamespaceKind, stored).catch((error: unknown) => error);
  expect(isConflict(conflict) && !isAlreadyExists(conflict)).toBe(true);
  const missing = await client
    .patch(PodKind, "demo", "x", { kind: "merge", body: {} })
    .catch((error: unknown) => error);
  expect(isNotFound(missing)).toBe(true);
  expect(missing).toMatchObject({
    status: 404,
    reason: "NotFound",
    message: "/api/v1/namespaces/demo/pods/x not found",
  });
});

test("a refusal that is no Status keeps the first words", async () => {
  api.fault((_, response) => {
    response.writeHead(502, { "content-type": "text/html" }).end("<html>bad   gateway</html>");
    return true;
  });
  await expect(
    client.create(PodKind, { apiVersion: "v1", kind: "Pod", metadata: { namespace: "demo", name: "x" } }),
  ).rejects.toMatchObject({
    status: 502,
    message: "the API server answered 502: <html>bad gateway</html>",
  });
});

test("a read waits when the server asks for patience; a write tells its caller", async () => {
  api.put(pods, { metadata: { name: "shop" } });
  let refusals = 2;
  api.fault((_, response) => {
    if (refusals-- <= 0) return false;
    refuse(response, 429, "TooManyRequests", "slow down", { "retry-after": "0" });
    return true;
  });
  expect(await client.get(PodKind, "demo", "shop")).toMatchObject({ metadata: { name: "shop" } });
  expect(api.requests).toHaveLength(3);
  refusals = 1;
  const error: unknown = await client
    .patch(PodKind, "demo", "shop", { kind: "merge", body: {} })
    .catch((error: unknown) => error);
  expect(error).toMatchObject({ status: 429, retryAfter: 0 });
  expect(api.requests).toHaveLength(4);
});

test("a read survives a connection that the server drops; a write does not go twice", async () => {
  api.put(pods, { metadata: { name: "shop" } });
  let cuts = 1;
  api.fault((_, response) => {
    if (cuts-- <= 0) return false;
    response.destroy();
    return true;
  });
  expect(await client.get(PodKind, "demo", "shop")).toBeDefined();
  cuts = 1;
  const error: unknown = await client
    .patch(PodKind, "demo", "shop", { kind: "merge", body: {} })
    .catch((error: unknown) => error);
  expect(isUnreachable(error)).toBe(true);
  expect(api.requests.filter(({ method }) => method === "PATCH")).toHaveLength(1);
});

test("a renewed token is read again on 401", async () => {
  api.put(pods, { metadata: { name: "shop" } });
  const tokens = ["old", "new"];
  const other = createClient({ url: api.url, token: () => tokens.shift() ?? "none" });
  api.fault(({ headers }, response) => {
    if (headers.authorization === "Bearer new") return false;
    refuse(response, 401, "Unauthorized", "token expired");
    return true;
  });
  expect(await other.get(PodKind, "demo", "shop")).toBeDefined();
  await other.close();
});

test("a server that is not there is told in one line", async () => {
  const nobody = createClient({ url: "http://127.0.0.1:1" });
  const error: unknown = await nobody
    .create(PodKind, { apiVersion: "v1", kind: "Pod", metadata: { name: "x" } })
    .catch((error: unknown) => error);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({
    status: 0,
    reason: "Unreachable",
    message: expect.stringMatching(
      /^cannot reach the Kubernetes API at http:\/\/127.0.0.1:1: .*ECONNREFUSED/,
    ) as unknown,
  });
  await nobody.close();
});

test("what the caller gives up is told as such", async () => {
  api.fault(() => true);
  await expect(client.text("/api/v1/pods", AbortSignal.timeout(50))).rejects.toMatchObject({
    reason: "Aborted",
  });
});

test("deletions share the pool's connections, though each has a body", async () => {
  const ports = new Set<number | undefined>();
  api.fault((_, response) => {
    ports.add(response.socket?.remotePort);
    return false;
  });
  for (let pod = 0; pod < 30; pod++)
    await client.delete(PodKind, "demo", `p-${pod}`, { gracePeriodSeconds: 0 });
  expect(ports.size).toBeLessThanOrEqual(8);
});

test("a write under load waits for nobody's watch", async () => {
  const watching = new AbortController();
  const streams = Array.from({ length: 30 }, () =>
    collect(client.stream("/api/v1/pods?watch=true", watching.signal)),
  );
  await expect.poll(() => api.openWatches()).toBe(30);
  await client.create(NamespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name: "demo" } });
  watching.abort();
  expect(await Promise.allSettled(streams)).toHaveLength(30);
});
