/** CustomResourceDefinitions: schemas, versions, columns. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { at, listAt, objectAt, textAt } from "./json.ts";
import { startTestServer, type TestServer, widget, widgetDefinition } from "./testing.ts";

let api: TestServer;
const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const widgets = "/apis/example.com/v1/namespaces/default/widgets";
const merge = { contentType: "application/merge-patch+json" };

beforeAll(async () => {
  api = await startTestServer();
  await api.call("POST", definitions, { body: widgetDefinition });
});
afterAll(() => api.close());

test("a definition is Established at once, and found in both forms of discovery and in OpenAPI", async () => {
  const { body } = await api.call("GET", `${definitions}/widgets.example.com`);
  expect(listAt(body, "status", "conditions")).toContainEqual(
    expect.objectContaining({ type: "Established", status: "True" }),
  );
  expect((await api.call("GET", "/apis/example.com/v1")).body).toMatchObject({
    resources: [
      { name: "widgets", kind: "Widget", shortNames: ["wd"] },
      { name: "widgets/status" },
      { name: "widgets/scale", kind: "Scale" },
    ],
  });
  const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
  const aggregated = await api.call("GET", "/apis", { accept });
  expect(aggregated.headers["content-type"]).toContain("as=APIGroupDiscoveryList");
  const group = listAt(aggregated.body, "items").find(
    (item) => textAt(item, "metadata", "name") === "example.com",
  );
  expect(listAt(group, "versions").map((version) => textAt(version, "version"))).toEqual(["v1", "v1beta1"]);
  const document = await api.call("GET", "/openapi/v3/apis/example.com/v1");
  expect(
    at(document.body, "components", "schemas", "com.example.v1.Widget", "x-kubernetes-group-version-kind"),
  ).toEqual([{ group: "example.com", kind: "Widget", version: "v1" }]);
});

test("defaults are set, unknown fields pruned with a warning, free ones kept", async () => {
  const { status, body, headers } = await api.call("POST", widgets, {
    body: widget("plain", { size: 3, bogus: 1, free: { any: { thing: 1 } } }),
  });
  expect(status).toBe(201);
  expect(body.spec).toEqual({ size: 3, color: "red", free: { any: { thing: 1 } } });
  expect(headers.warning).toContain('unknown field \\"spec.bogus\\"');
});

test("fieldValidation=Strict refuses unknown fields, Ignore says nothing", async () => {
  const body = widget("strict", { size: 3, bogus: 1 });
  expect(await api.call("POST", `${widgets}?fieldValidation=Strict`, { body })).toMatchObject({
    status: 400,
    body: {
      message:
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.bogus"',
    },
  });
  expect(
    (await api.call("POST", `${widgets}?fieldValidation=Ignore`, { body })).headers.warning,
  ).toBeUndefined();
});

test.for([
  [{}, "spec.size: Required value"],
  [{ size: 11 }, "spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10"],
  [{ size: "3" }, 'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"'],
  [{ size: 3, color: "green" }, 'spec.color: Unsupported value: "green": supported values: "red", "blue"'],
  [{ size: 3, name: "A1" }, `spec.name: Invalid value: "A1": spec.name in body should match '^[a-z]+$'`],
  [
    { size: 3, port: true },
    'spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"',
  ],
  [{ size: 3, parts: [{ id: "a" }, { id: "a" }] }, 'spec.parts[1]: Duplicate value: {"id":"a"}'],
] as const)("%j is invalid: %s", async ([spec, message]) => {
  expect(await api.call("POST", widgets, { body: widget("bad", spec) })).toMatchObject({
    status: 422,
    body: {
      reason: "Invalid",
      message: `Widget.example.com "bad" is invalid: ${message}`,
      details: { kind: "Widget", group: "example.com" },
    },
  });
});

test("all served versions show the same object", async () => {
  await api.call("POST", "/apis/example.com/v1beta1/namespaces/default/widgets", {
    body: { ...widget("both", { size: 1 }), apiVersion: "example.com/v1beta1" },
  });
  expect((await api.call("GET", `${widgets}/both`)).body).toMatchObject({
    apiVersion: "example.com/v1",
    spec: { size: 1 },
  });
  expect(
    (await api.call("GET", "/apis/example.com/v1beta1/widgets?fieldSelector=metadata.name%3Dboth")).body,
  ).toMatchObject({ apiVersion: "example.com/v1beta1", items: [{ apiVersion: "example.com/v1beta1" }] });
});

test("status and scale are written apart, and do not count the generation", async () => {
  await api.call("POST", widgets, { body: { ...widget("split", { size: 1 }), status: { phase: "never" } } });
  const put = await api.call("PATCH", `${widgets}/split/status`, {
    ...merge,
    body: { spec: { size: 9 }, status: { phase: "Up" } },
  });
  expect(put.body).toMatchObject({ spec: { size: 1 }, status: { phase: "Up" }, metadata: { generation: 1 } });
  expect(
    (await api.call("PATCH", `${widgets}/split/scale`, { ...merge, body: { spec: { replicas: 4 } } })).body,
  ).toMatchObject({ kind: "Scale", spec: { replicas: 4 } });
  expect((await api.call("GET", `${widgets}/split`)).body).toMatchObject({
    spec: { replicas: 4 },
    status: { phase: "Up" },
    metadata: { generation: 2 },
  });
});

test("tables show the definition's columns", async () => {
  await api.call("POST", widgets, { body: widget("shown", { size: 7 }) });
  await api.call("PATCH", `${widgets}/shown/status`, {
    ...merge,
    body: {
      status: {
        conditions: [
          { type: "Other", status: "False" },
          { type: "Ready", status: "True" },
        ],
      },
    },
  });
  const { body } = await api.call("GET", `${widgets}/shown`, {
    accept: "application/json;as=Table;v=v1;g=meta.k8s.io",
  });
  expect(listAt(body, "columnDefinitions").map((column) => textAt(column, "name"))).toEqual([
    "Name",
    "Size",
    "Ready",
  ]);
  expect(at(body, "rows", "0", "cells")).toEqual(["shown", 7, "True"]);
});

test("strategic merge is not for custom resources", async () => {
  await api.call("POST", widgets, { body: widget("patched", { size: 1 }) });
  expect(
    (
      await api.call("PATCH", `${widgets}/patched`, {
        body: {},
        contentType: "application/strategic-merge-patch+json",
      })
    ).status,
  ).toBe(415);
});

test("server-side apply merges keyed lists item by item", async () => {
  const apply = (manager: string, parts: object[]) =>
    api.call("PATCH", `${widgets}/listed?fieldManager=${manager}`, {
      raw: JSON.stringify(widget("listed", { size: 1, parts })),
      contentType: "application/apply-patch+yaml",
    });
  await apply("one", [{ id: "a", n: 1 }]);
  const { body } = await apply("two", [{ id: "b", n: 2 }]);
  expect(at(body, "spec", "parts")).toEqual([
    { id: "a", n: 1 },
    { id: "b", n: 2 },
  ]);
  expect(at((await apply("one", [])).body, "spec", "parts")).toEqual([{ id: "b", n: 2 }]);
});

test("a definition may change; deleting it deletes its objects", async () => {
  const name = "gadgets.example.org";
  const spec = objectAt(widgetDefinition, "spec");
  const made = {
    ...widgetDefinition,
    metadata: { name },
    spec: { ...spec, group: "example.org", names: { plural: "gadgets", kind: "Gadget" } },
  };
  await api.call("POST", definitions, { body: made });
  const gadgets = "/apis/example.org/v1/namespaces/default/gadgets";
  const gadget = {
    apiVersion: "example.org/v1",
    kind: "Gadget",
    metadata: { name: "one" },
    spec: { size: 1 },
  };
  expect((await api.call("POST", gadgets, { body: gadget })).status).toBe(201);
  await api.call("DELETE", `${definitions}/${name}`);
  await expect.poll(async () => (await api.call("GET", `${definitions}/${name}`)).status).toBe(404);
  expect((await api.call("GET", `${gadgets}/one`)).status).toBe(404);
  await api.call("POST", definitions, { body: made });
  expect(listAt((await api.call("GET", gadgets)).body, "items")).toEqual([]);
});

test("a definition without schema, or with another name, is refused", async () => {
  const spec = objectAt(widgetDefinition, "spec");
  expect(
    await api.call("POST", definitions, {
      body: { ...widgetDefinition, metadata: { name: "wrong.example.com" } },
    }),
  ).toMatchObject({ status: 422 });
  const versions = [{ name: "v1", served: true, storage: true }];
  const bare = {
    ...widgetDefinition,
    metadata: { name: "things.example.com" },
    spec: { ...spec, names: { plural: "things", kind: "Thing" }, versions },
  };
  const { body } = await api.call("POST", definitions, { body: bare });
  expect(body.message).toContain("spec.versions[0].schema.openAPIV3Schema: Required value");
});
