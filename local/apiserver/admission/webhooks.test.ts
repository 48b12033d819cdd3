/** Admission webhooks on a real HTTPS server with a certificate of its own. */
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:https";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { at, isObject, type JsonObject, objectAt, textAt } from "../json.ts";
import { writeCertificate } from "../pki/certificate.ts";
import { configMap, startTestServer, type TestServer } from "../testing.ts";

type Respond = (request: JsonObject) => object | "hang";

let api: TestServer;
let webhook: Server;
let port = 0;
let ca = "";
let respond: Respond;
const asked: JsonObject[] = [];

beforeAll(async () => {
  const authority = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const serving = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issuer = { commonName: "webhook-ca", key: authority.privateKey };
  const times = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
  ca = writeCertificate(
    { commonName: "webhook-ca", use: "authority", publicKey: authority.publicKey, ...times },
    issuer,
  );
  const hosts = ["127.0.0.1", "injector.mesh.svc", "hooks.default.svc"];
  const cert = writeCertificate(
    { commonName: "webhook", use: "server", hosts, publicKey: createPublicKey(serving.privateKey), ...times },
    issuer,
  );
  webhook = createServer(
    { cert, key: serving.privateKey.export({ type: "pkcs8", format: "pem" }) },
    async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const review: unknown = JSON.parse(Buffer.concat(chunks).toString());
      const body = objectAt(review, "request");
      const seen = { ...body, path: request.url };
      asked.push(seen);
      const answer = respond(seen);
      if (answer === "hang") return;
      response.end(
        JSON.stringify({
          apiVersion: "admission.k8s.io/v1",
          kind: "AdmissionReview",
          response: { uid: body.uid, ...answer },
        }),
      );
    },
  );
  webhook.listen(0, "127.0.0.1");
  await once(webhook, "listening");
  const address = webhook.address();
  port = isObject(address) ? Number(address.port) : 0;
  api = await startTestServer({
    resolveService: ({ name, namespace }) =>
      name === "injector" && namespace === "mesh" ? { host: "127.0.0.1", port } : undefined,
  });
  await api.call("PATCH", "/api/v1/namespaces/default", {
    body: { metadata: { labels: { inject: "yes" } } },
    contentType: "application/merge-patch+json",
  });
});
afterAll(async () => {
  webhook.closeAllConnections();
  webhook.close();
  await api.close();
});
beforeEach(() => {
  asked.length = 0;
});

async function configure(kind: "Mutating" | "Validating", settings: JsonObject): Promise<void> {
  const path = `/apis/admissionregistration.k8s.io/v1/${kind.toLowerCase()}webhookconfigurations`;
  for (const each of ["mutating", "validating"])
    await api.call("DELETE", `/apis/admissionregistration.k8s.io/v1/${each}webhookconfigurations/test`);
  const rules = [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["configmaps"] }];
  const clientConfig = {
    url: `https://127.0.0.1:${port}/hook`,
    caBundle: Buffer.from(ca).toString("base64"),
  };
  const entry = {
    name: "test.fairlead.dev",
    sideEffects: "None",
    admissionReviewVersions: ["v1"],
    rules,
    clientConfig,
    ...settings,
  };
  const { status, text } = await api.call("POST", path, {
    body: { metadata: { name: "test" }, webhooks: [entry] },
  });
  expect(text).toContain("test.fairlead.dev");
  expect(status).toBe(201);
}

const create = (name: string, labels = {}, query = "") =>
  api.call("POST", `/api/v1/namespaces/default/configmaps${query}`, { body: configMap(name, {}, labels) });
const patch = (operations: object[]) => ({
  allowed: true,
  patchType: "JSONPatch",
  patch: Buffer.from(JSON.stringify(operations)).toString("base64"),
});

test("a mutating webhook changes the object, by url and by service", async () => {
  respond = () => patch([{ op: "add", path: "/data", value: { added: "yes" } }]);
  await configure("Mutating", {});
  expect((await create("by-url")).body).toMatchObject({ data: { added: "yes" } });
  expect(asked[0]).toMatchObject({
    operation: "CREATE",
    namespace: "default",
    name: "by-url",
    kind: { group: "", version: "v1", kind: "ConfigMap" },
    object: { metadata: { name: "by-url" } },
    oldObject: null,
    path: "/hook?timeout=10s",
  });
  await configure("Mutating", {
    clientConfig: {
      service: { name: "injector", namespace: "mesh", path: "/inject" },
      caBundle: Buffer.from(ca).toString("base64"),
    },
  });
  expect((await create("by-service")).body).toMatchObject({ data: { added: "yes" } });
  expect(asked[1]?.path).toBe("/inject?timeout=10s");
});

test("selectors and rules choose what a webhook sees", async () => {
  respond = () => ({ allowed: true });
  await configure("Mutating", {
    objectSelector: { matchLabels: { see: "me" } },
    namespaceSelector: { matchLabels: { inject: "yes" } },
  });
  await create("unseen");
  await create("seen", { see: "me" });
  await api.call("POST", "/api/v1/namespaces/kube-public/configmaps", {
    body: configMap("elsewhere", {}, { see: "me" }),
  });
  await api.call("DELETE", "/api/v1/namespaces/default/configmaps/seen");
  expect(asked.map(({ name }) => name)).toEqual(["seen"]);
});

test("a validating webhook refuses with its own words, and warns", async () => {
  respond = (request) =>
    textAt(request, "object", "data", "ok") === "yes"
      ? { allowed: true, warnings: ["mind the gap"] }
      : { allowed: false, status: { code: 422, reason: "Invalid", message: "no ok" } };
  await configure("Validating", {});
  expect(await create("refused")).toMatchObject({
    status: 422,
    body: { reason: "Invalid", message: 'admission webhook "test.fairlead.dev" denied the request: no ok' },
  });
  const good = await api.call("POST", "/api/v1/namespaces/default/configmaps", {
    body: configMap("accepted", { ok: "yes" }),
  });
  expect(good.status).toBe(201);
  expect(good.headers.warning).toContain("mind the gap");
});

test("failurePolicy decides when a webhook hangs, is not trusted or has no endpoints", async () => {
  respond = () => "hang";
  await configure("Mutating", { timeoutSeconds: 1, failurePolicy: "Fail" });
  const hung = await create("hung");
  expect(hung).toMatchObject({ status: 500, body: { reason: "InternalError" } });
  expect(textAt(hung.body, "message")).toContain("context deadline exceeded");
  await configure("Mutating", { timeoutSeconds: 1, failurePolicy: "Ignore" });
  expect((await create("hung")).status).toBe(201);
  await configure("Mutating", { clientConfig: { url: `https://127.0.0.1:${port}/hook` } });
  expect((await create("untrusted")).status).toBe(500);
  await configure("Mutating", { clientConfig: { service: { name: "none", namespace: "mesh" } } });
  expect(textAt((await create("nowhere")).body, "message")).toContain('service "none" not found');
}, 20_000);

test("a dry run tells the webhook, and updates carry the old object", async () => {
  respond = () => ({ allowed: true });
  await configure("Validating", {
    rules: [{ apiGroups: ["*"], apiVersions: ["*"], operations: ["*"], resources: ["configmaps"] }],
  });
  await create("lifecycle", {}, "?dryRun=All");
  await create("lifecycle");
  await api.call("PATCH", "/api/v1/namespaces/default/configmaps/lifecycle", {
    body: { data: { a: "b" } },
    contentType: "application/merge-patch+json",
  });
  await api.call("DELETE", "/api/v1/namespaces/default/configmaps/lifecycle");
  expect(asked.map(({ operation, dryRun }) => [operation, dryRun])).toEqual([
    ["CREATE", true],
    ["CREATE", false],
    ["UPDATE", false],
    ["DELETE", false],
  ]);
  // An empty map is left out, as Go leaves it out.
  expect(at(asked[2], "oldObject", "data")).toBeUndefined();
  expect(at(asked[2], "object", "data")).toEqual({ a: "b" });
  expect(asked[3]).toMatchObject({ object: null, oldObject: { data: { a: "b" } } });
});

test("match conditions choose what a webhook sees, and fail as its failurePolicy says", async () => {
  respond = () => ({ allowed: true });
  const asks = { name: "asks", expression: "object.metadata.labels['ask'] == 'yes'" };
  await configure("Validating", { matchConditions: [asks] });
  expect((await create("conditions-a", { ask: "yes" })).status).toBe(201);
  expect((await create("conditions-b", { ask: "no" })).status).toBe(201);
  expect(asked.map(({ name }) => name)).toEqual(["conditions-a"]);
  const lost = await create("conditions-c");
  expect(lost).toMatchObject({ status: 403, body: { reason: "Forbidden" } });
  expect(textAt(lost.body, "message")).toContain("resulted in error: no such key");
  await configure("Validating", { matchConditions: [asks], failurePolicy: "Ignore" });
  expect((await create("conditions-d")).status).toBe(201);
  expect(asked).toHaveLength(1);
});

test("a webhook that asks for it sees what later ones have changed", async () => {
  respond = ({ path, object }) => {
    const seen = textAt(object, "data", "seen") ?? "";
    return patch([{ op: "add", path: "/data", value: { seen: `${seen}${String(path).slice(1, 2)}` } }]);
  };
  const entry = (name: string, settings: object) => ({
    name: `${name}.fairlead.dev`,
    sideEffects: "None",
    admissionReviewVersions: ["v1"],
    rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["configmaps"] }],
    clientConfig: { url: `https://127.0.0.1:${port}/${name}`, caBundle: Buffer.from(ca).toString("base64") },
    ...settings,
  });
  const path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
  const webhooks = [entry("first", { reinvocationPolicy: "IfNeeded" }), entry("second", {})];
  await api.call("DELETE", `${path}/test`);
  const configured = await api.call("POST", path, { body: { metadata: { name: "turns" }, webhooks } });
  expect(configured.status, configured.text).toBe(201);
  expect((await create("turns")).body).toMatchObject({ data: { seen: "fsf" } });
  await api.call("DELETE", `${path}/turns`);
});

test("a webhook's Service is reached at its ready pods", async () => {
  respond = () => ({ allowed: true });
  await api.call("POST", "/api/v1/namespaces/default/services", {
    body: { metadata: { name: "hooks" }, spec: { ports: [{ name: "https", port: 443 }] } },
  });
  const slice = (name: string, ready: boolean, slicePort: number) =>
    api.call("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
      body: {
        metadata: { name, labels: { "kubernetes.io/service-name": "hooks" } },
        addressType: "IPv4",
        ports: [{ name: "https", port: slicePort }],
        endpoints: [{ addresses: ["127.0.0.1"], conditions: { ready } }],
      },
    });
  await slice("away", false, 1);
  const clientConfig = {
    service: { name: "hooks", namespace: "default" },
    caBundle: Buffer.from(ca).toString("base64"),
  };
  await configure("Validating", { clientConfig });
  const nobody = await create("by-slices");
  expect(textAt(nobody.body, "message")).toContain('no endpoints available for service "hooks"');
  await slice("there", true, port);
  expect((await create("by-slices")).status).toBe(201);
});
