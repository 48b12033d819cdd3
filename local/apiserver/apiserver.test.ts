/** What a client of the API notices of objects it makes, reads, lists and updates, over TLS. */
import { afterAll, expect, test } from "vitest";
import { at, listAt, numberAt, objectAt, textAt } from "./json.ts";
import { configMap, deployment, deployments, maps, startTestServer } from "./testing.ts";

const api = await startTestServer();
afterAll(() => api.close());

test("a created object carries identity, generation and defaults", async () => {
  const { status, body } = await api.call("POST", deployments, { body: deployment("made") });
  expect(status).toBe(201);
  expect(body.metadata).toMatchObject({
    name: "made",
    namespace: "default",
    generation: 1,
    uid: expect.any(String),
    resourceVersion: expect.any(String),
  });
  expect(body.spec).toMatchObject({
    replicas: 1,
    strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%" } },
  });
  expect(await api.call("POST", deployments, { body: deployment("made") })).toMatchObject({
    status: 409,
    body: { reason: "AlreadyExists", message: 'deployments.apps "made" already exists' },
  });
});

test("generateName makes a name", async () => {
  const { body } = await api.call("POST", maps, { body: { metadata: { generateName: "some-" } } });
  expect(textAt(body, "metadata", "name")).toMatch(/^some-[a-z0-9]{5}$/);
});

test("a missing object is a NotFound status", async () => {
  expect(await api.call("GET", `${deployments}/none`)).toMatchObject({
    status: 404,
    body: {
      kind: "Status",
      reason: "NotFound",
      message: 'deployments.apps "none" not found',
      details: { name: "none", group: "apps", kind: "deployments" },
    },
  });
});

test("a stale resourceVersion is a Conflict, a change of spec counts the generation, a change of labels does not", async () => {
  const { body } = await api.call("POST", deployments, { body: deployment("locked") });
  const changed = { ...body, spec: { ...objectAt(body, "spec"), replicas: 2 } };
  const first = await api.call("PUT", `${deployments}/locked`, { body: changed });
  expect(first).toMatchObject({ status: 200, body: { metadata: { generation: 2 } } });
  expect(await api.call("PUT", `${deployments}/locked`, { body: changed })).toMatchObject({
    status: 409,
    body: { reason: "Conflict" },
  });
  const labelled = { metadata: { labels: { a: "b" } } };
  const second = await api.call("PATCH", `${deployments}/locked`, {
    body: labelled,
    contentType: "application/merge-patch+json",
  });
  expect(second.body).toMatchObject({ metadata: { generation: 2, labels: { a: "b" } } });
});

test("an update that changes nothing keeps the resourceVersion", async () => {
  const { body } = await api.call("POST", maps, { body: configMap("same", { a: "1" }) });
  const again = await api.call("PUT", `${maps}/same`, { body });
  expect(at(again.body, "metadata", "resourceVersion")).toBe(at(body, "metadata", "resourceVersion"));
});

test("status is written through its own endpoint only", async () => {
  await api.call("POST", deployments, { body: deployment("stated") });
  const merge = { contentType: "application/merge-patch+json" };
  const main = await api.call("PATCH", `${deployments}/stated`, {
    ...merge,
    body: { status: { replicas: 7 } },
  });
  expect(at(main.body, "status", "replicas")).toBeUndefined();
  const own = await api.call("PATCH", `${deployments}/stated/status`, {
    ...merge,
    body: { spec: { replicas: 9 }, status: { replicas: 7 } },
  });
  expect(own.body).toMatchObject({
    spec: { replicas: 1 },
    status: { replicas: 7 },
    metadata: { generation: 1 },
  });
});

test("scale reads and writes replicas", async () => {
  await api.call("POST", deployments, { body: deployment("scaled") });
  const { body } = await api.call("GET", `${deployments}/scaled/scale`);
  expect(body).toMatchObject({
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    spec: { replicas: 1 },
    status: { selector: "app=scaled" },
  });
  const put = await api.call("PUT", `${deployments}/scaled/scale`, {
    body: { ...body, spec: { replicas: 3 } },
  });
  expect(put).toMatchObject({ status: 200, body: { spec: { replicas: 3 } } });
  expect(await api.call("GET", `${deployments}/scaled`)).toMatchObject({ body: { spec: { replicas: 3 } } });
});

test("lists are cut into pages and selected by labels and fields", async () => {
  for (const index of [1, 2, 3, 4, 5]) {
    await api.call("POST", maps, {
      body: configMap(`page-${index}`, {}, { page: "yes", odd: index % 2 === 1 ? "odd" : "even" }),
    });
  }
  const names = async (query: string) =>
    listAt((await api.call("GET", `${maps}?${query}`)).body, "items").map((item) =>
      textAt(item, "metadata", "name"),
    );
  const first = await api.call("GET", `${maps}?labelSelector=page&limit=2`);
  expect(first.body.metadata).not.toHaveProperty("remainingItemCount");
  const whole = await api.call("GET", `${maps}?limit=2`);
  expect(numberAt(whole.body, "metadata", "remainingItemCount")).toBeGreaterThanOrEqual(3);
  const next = await names(
    `labelSelector=page&limit=3&continue=${textAt(first.body, "metadata", "continue")}`,
  );
  expect([...listAt(first.body, "items").map((item) => textAt(item, "metadata", "name")), ...next]).toEqual([
    "page-1",
    "page-2",
    "page-3",
    "page-4",
    "page-5",
  ]);
  expect(await names(`labelSelector=${encodeURIComponent("page,odd in (odd,none),odd!=even")}`)).toEqual([
    "page-1",
    "page-3",
    "page-5",
  ]);
  expect(await names(`labelSelector=${encodeURIComponent("page,odd notin (odd)")}`)).toEqual([
    "page-2",
    "page-4",
  ]);
  expect(await names("fieldSelector=metadata.name%3Dpage-4")).toEqual(["page-4"]);
  expect(await api.call("GET", `${maps}?fieldSelector=spec.nope%3D1`)).toMatchObject({
    status: 400,
    body: { message: expect.stringContaining(`"spec.nope" is not a known field selector`) },
  });
});

test("a dry run changes nothing", async () => {
  expect((await api.call("POST", `${maps}?dryRun=All`, { body: configMap("dry") })).status).toBe(201);
  expect((await api.call("GET", `${maps}/dry`)).status).toBe(404);
});

test("services get addresses of their own and keep them", async () => {
  const services = "/api/v1/namespaces/default/services";
  const service = (name: string) => ({
    metadata: { name },
    spec: { selector: { app: name }, ports: [{ port: 80 }] },
  });
  const one = await api.call("POST", services, { body: service("one") });
  const two = await api.call("POST", services, { body: service("two") });
  const [first, second] = [textAt(one.body, "spec", "clusterIP"), textAt(two.body, "spec", "clusterIP")];
  expect(first).toMatch(/^10\.96\.\d+\.\d+$/);
  expect(second).not.toBe(first);
  const put = await api.call("PUT", `${services}/one`, { body: service("one") });
  expect(textAt(put.body, "spec", "clusterIP")).toBe(first);
});

test("answers come as tables, metadata or yaml where asked", async () => {
  await api.call("POST", maps, { body: configMap("shown", { a: "1" }) });
  const table = await api.call("GET", `${maps}/shown`, {
    accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
  });
  expect(table.body).toMatchObject({
    kind: "Table",
    columnDefinitions: [{ name: "Name" }, { name: "Data" }, { name: "Age" }],
    rows: [{ cells: ["shown", 1, expect.any(String)] }],
  });
  const metadata = await api.call("GET", maps, {
    accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
  });
  expect(metadata.body).toMatchObject({ kind: "PartialObjectMetadataList" });
  expect((await api.call("GET", `${maps}/shown`, { accept: "application/yaml" })).text).toContain(
    "kind: ConfigMap",
  );
  expect((await api.call("GET", maps, { accept: "text/html" })).status).toBe(406);
});
