/** What a client notices of patches: JSON, merge, strategic merge, and server-side apply. */
import { afterAll, expect, test } from "vitest";
import { at, objectAt } from "./json.ts";
import { configMap, deployment, deployments, maps, startTestServer } from "./testing.ts";

const api = await startTestServer();
afterAll(() => api.close());

test("concurrent patches are all kept", async () => {
  await api.call("POST", maps, { body: configMap("busy") });
  const patches = Array.from({ length: 20 }, (_, index) =>
    api.call("PATCH", `${maps}/busy`, {
      body: { data: { [`k${index}`]: "v" } },
      contentType: "application/merge-patch+json",
    }),
  );
  expect((await Promise.all(patches)).every(({ status }) => status === 200)).toBe(true);
  const { body } = await api.call("GET", `${maps}/busy`);
  expect(Object.keys(objectAt(body, "data"))).toHaveLength(20);
});

test("a failed test of a json patch changes nothing", async () => {
  await api.call("POST", maps, { body: configMap("tested", { a: "1" }) });
  const operations = [
    { op: "test", path: "/data/a", value: "2" },
    { op: "replace", path: "/data/a", value: "3" },
  ];
  expect(
    await api.call("PATCH", `${maps}/tested`, {
      body: operations,
      contentType: "application/json-patch+json",
    }),
  ).toMatchObject({
    status: 422,
    body: { reason: "Invalid", message: "the server rejected our request due to an error in our request" },
  });
  expect(at((await api.call("GET", `${maps}/tested`)).body, "data", "a")).toBe("1");
});

test("strategic merge merges containers and their variables by name", async () => {
  await api.call("POST", deployments, { body: deployment("merged") });
  const containers = [
    {
      name: "app",
      env: [
        { name: "A", value: "9" },
        { name: "B", $patch: "delete" },
      ],
    },
    { name: "more", image: "more:1" },
  ];
  const { body } = await api.call("PATCH", `${deployments}/merged`, {
    body: { spec: { template: { spec: { containers } } } },
    contentType: "application/strategic-merge-patch+json",
  });
  expect(at(body, "spec", "template", "spec", "containers")).toMatchObject([
    { name: "app", image: "web:1", env: [{ name: "A", value: "9" }] },
    { name: "more", image: "more:1" },
  ]);
});

test("server-side apply creates, takes away what is left out, and refuses another's fields unless forced", async () => {
  const apply = (manager: string, data: Record<string, string>, force = false) =>
    api.call("PATCH", `${maps}/applied?fieldManager=${manager}&force=${force}`, {
      raw: JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "applied" }, data }),
      contentType: "application/apply-patch+yaml",
    });
  expect((await apply("one", { a: "1", b: "1" })).status).toBe(201);
  expect((await apply("two", { c: "2" })).body.data).toEqual({ a: "1", b: "1", c: "2" });
  expect(await apply("two", { a: "2" })).toMatchObject({
    status: 409,
    body: { reason: "Conflict", message: 'Apply failed with 1 conflict: conflict with "one": .data.a' },
  });
  expect((await apply("one", { b: "1" })).body.data).toEqual({ b: "1", c: "2" });
  expect((await apply("two", { b: "2" }, true)).body.data).toEqual({ b: "2" });
});
