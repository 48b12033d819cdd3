/** What a client notices of deletions: grace, finalizers, preconditions, dependents and namespaces. */
import { afterAll, expect, test } from "vitest";
import { at } from "./json.ts";
import { configMap, maps, startTestServer } from "./testing.ts";

const api = await startTestServer();
afterAll(() => api.close());

test("deletecollection deletes what is selected", async () => {
  await api.call("POST", maps, { body: configMap("bulk-1", {}, { bulk: "1" }) });
  await api.call("POST", maps, { body: configMap("bulk-2") });
  await api.call("DELETE", `${maps}?labelSelector=bulk`);
  expect((await api.call("GET", `${maps}/bulk-1`)).status).toBe(404);
  expect((await api.call("GET", `${maps}/bulk-2`)).status).toBe(200);
});

test("a pod on a node is deleted gracefully; grace 0 ends it", async () => {
  const pods = "/api/v1/namespaces/default/pods";
  const pod = {
    metadata: { name: "slow" },
    spec: { nodeName: "here", terminationGracePeriodSeconds: 20, containers: [{ name: "c", image: "i" }] },
  };
  expect((await api.call("POST", pods, { body: pod })).body).toMatchObject({
    status: { phase: "Pending" },
    spec: { serviceAccountName: "default" },
  });
  const marked = await api.call("DELETE", `${pods}/slow`);
  expect(marked.body.metadata).toMatchObject({
    deletionGracePeriodSeconds: 20,
    deletionTimestamp: expect.any(String),
  });
  expect((await api.call("GET", `${pods}/slow`)).status).toBe(200);
  await api.call("DELETE", `${pods}/slow?gracePeriodSeconds=0`);
  expect((await api.call("GET", `${pods}/slow`)).status).toBe(404);
});

test("finalizers hold a deleted object until the last is taken", async () => {
  await api.call("POST", maps, { body: { metadata: { name: "held", finalizers: ["example.com/hold"] } } });
  expect((await api.call("DELETE", `${maps}/held`)).body.metadata).toMatchObject({
    deletionTimestamp: expect.any(String),
  });
  const patch = (body: object) =>
    api.call("PATCH", `${maps}/held`, { body, contentType: "application/merge-patch+json" });
  expect((await patch({ metadata: { finalizers: ["example.com/hold", "example.com/new"] } })).status).toBe(
    422,
  );
  expect((await patch({ metadata: { finalizers: null } })).status).toBe(200);
  expect((await api.call("GET", `${maps}/held`)).status).toBe(404);
});

test("preconditions of a deletion are kept", async () => {
  await api.call("POST", maps, { body: configMap("sure") });
  const wrong = { kind: "DeleteOptions", apiVersion: "v1", preconditions: { uid: "other" } };
  expect(await api.call("DELETE", `${maps}/sure`, { body: wrong })).toMatchObject({
    status: 409,
    body: { reason: "Conflict" },
  });
});

test("dependents go with their owner; orphans stay", async () => {
  const gone = async (name: string) => {
    await expect.poll(async () => (await api.call("GET", `${maps}/${name}`)).status).toBe(404);
  };
  for (const [owner, policy] of [
    ["cascade", "Background"],
    ["front", "Foreground"],
    ["orphan", "Orphan"],
  ]) {
    const { body } = await api.call("POST", maps, { body: configMap(owner ?? "") });
    const reference = {
      apiVersion: "v1",
      kind: "ConfigMap",
      name: owner,
      uid: at(body, "metadata", "uid"),
      blockOwnerDeletion: true,
    };
    await api.call("POST", maps, {
      body: { metadata: { name: `${owner}-child`, ownerReferences: [reference] } },
    });
    await api.call("DELETE", `${maps}/${owner}?propagationPolicy=${policy}`);
    await gone(owner ?? "");
  }
  await gone("cascade-child");
  await gone("front-child");
  const orphan = await api.call("GET", `${maps}/orphan-child`);
  expect(orphan.status).toBe(200);
  expect(at(orphan.body, "metadata", "ownerReferences")).toBeUndefined();
});

test("a namespace is furnished, and emptied when it is deleted", async () => {
  await api.call("POST", "/api/v1/namespaces", { body: { metadata: { name: "brief" } } });
  await expect
    .poll(async () => (await api.call("GET", "/api/v1/namespaces/brief/serviceaccounts/default")).status)
    .toBe(200);
  await api.call("POST", "/api/v1/namespaces/brief/configmaps", {
    body: { metadata: { name: "held", finalizers: ["example.com/hold"] } },
  });
  expect((await api.call("DELETE", "/api/v1/namespaces/brief")).body).toMatchObject({
    status: { phase: "Terminating" },
  });
  expect(
    await api.call("POST", "/api/v1/namespaces/brief/configmaps", { body: configMap("late") }),
  ).toMatchObject({ status: 403, body: { reason: "Forbidden" } });
  await api.call("PATCH", "/api/v1/namespaces/brief/configmaps/held", {
    body: { metadata: { finalizers: null } },
    contentType: "application/merge-patch+json",
  });
  await expect.poll(async () => (await api.call("GET", "/api/v1/namespaces/brief")).status).toBe(404);
  expect(
    await api.call("POST", "/api/v1/namespaces/brief/configmaps", { body: configMap("late") }),
  ).toMatchObject({ status: 404, body: { message: 'namespaces "brief" not found' } });
});
