/** What a client of the API notices, verb by verb, over TLS. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { at, listAt, numberAt, objectAt, textAt } from "./json.ts";
import { configMap, deployment, startTestServer, type TestServer } from "./testing.ts";

let api: TestServer;
const maps = "/api/v1/namespaces/default/configmaps";
const deployments = "/apis/apps/v1/namespaces/default/deployments";

beforeAll(async () => {
  api = await startTestServer();
});
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

test("deletecollection deletes what is selected", async () => {
  await api.call("POST", maps, { body: configMap("bulk-1", {}, { bulk: "1" }) });
  await api.call("POST", maps, { body: configMap("bulk-2") });
  await api.call("DELETE", `${maps}?labelSelector=bulk`);
  expect((await api.call("GET", `${maps}/bulk-1`)).status).toBe(404);
  expect((await api.call("GET", `${maps}/bulk-2`)).status).toBe(200);
});

test("a dry run changes nothing", async () => {
  expect((await api.call("POST", `${maps}?dryRun=All`, { body: configMap("dry") })).status).toBe(201);
  expect((await api.call("GET", `${maps}/dry`)).status).toBe(404);
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

test.for([
  ["malformed json", { raw: '{"a":' }, 400],
  ["malformed yaml", { raw: "a: [", contentType: "application/yaml" }, 400],
  ["another content type", { raw: "x", contentType: "text/plain" }, 415],
  ["a body of 4 MiB", { raw: Buffer.alloc(4_194_304, 32) }, 413],
  [
    "10,000 levels",
    { raw: `{"metadata":{"name":"deep"},"data":${"[".repeat(10_000)}${"]".repeat(10_000)}}` },
    400,
  ],
  ["another kind", { body: { apiVersion: "v1", kind: "Secret", metadata: { name: "x" } } }, 400],
  ["an array", { raw: "[]" }, 400],
  ["a number as label", { body: { metadata: { name: "x", labels: { a: 1 } } } }, 400],
  ["a bad name", { body: { metadata: { name: "Not_A_Name" } } }, 422],
  [
    "annotations of 1 MiB",
    { body: { metadata: { name: "big", annotations: { a: "x".repeat(1_048_576) } } } },
    422,
  ],
] as const)("%s is refused with a Status, and the server goes on", async ([, ask, status]) => {
  const answer = await api.call("POST", maps, ask);
  expect(answer).toMatchObject({ status, body: { kind: "Status", status: "Failure", code: status } });
  expect((await api.call("GET", "/healthz")).text).toBe("ok");
});

test("prototype keys are plain keys", async () => {
  const raw = '{"metadata":{"name":"proto"},"data":{"__proto__":"x","constructor":"y"}}';
  expect((await api.call("POST", maps, { raw })).status).toBe(201);
  const patched = await api.call("PATCH", `${maps}/proto`, {
    raw: '{"data":{"__proto__":"z"},"__proto__":{"polluted":true}}',
    contentType: "application/merge-patch+json",
  });
  expect(patched.text).toContain('"__proto__":"z"');
  expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
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

test("fields that Kubernetes does not have are dropped with a warning, or refused when strict", async () => {
  const body = {
    ...deployment("typo", {
      replica: 3,
      template: {
        metadata: { labels: { app: "typo" } },
        spec: { containers: [{ name: "c", image: "i", imgae: "j" }] },
      },
    }),
  };
  const warned = await api.call("POST", `${deployments}?dryRun=All`, { body });
  expect(at(warned.body, "spec", "replica")).toBeUndefined();
  expect(warned.headers.warning).toEqual([
    '299 - "unknown field \\"spec.template.spec.containers[0].imgae\\""',
    '299 - "unknown field \\"spec.replica\\""',
  ]);
  expect(await api.call("POST", `${deployments}?fieldValidation=Strict`, { body })).toMatchObject({
    status: 400,
    body: {
      message:
        'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.template.spec.containers[0].imgae", unknown field "spec.replica"',
    },
  });
});

test("a wrong type is refused in the words of Kubernetes' decoder; numbers are quantities", async () => {
  expect(
    await api.call("POST", deployments, { body: deployment("wrong", { replicas: "two" }) }),
  ).toMatchObject({
    status: 400,
    body: {
      message:
        'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    },
  });
  const pod = {
    metadata: { name: "sized" },
    spec: { containers: [{ name: "c", image: "i", resources: { limits: { cpu: 1 } } }] },
  };
  const { body } = await api.call("POST", "/api/v1/namespaces/default/pods", { body: pod });
  expect(at(body, "spec", "containers", "0", "resources", "limits", "cpu")).toBe("1");
});
