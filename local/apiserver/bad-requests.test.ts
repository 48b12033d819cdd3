/** What a client is told of requests that cannot be carried out, in Kubernetes' words. */
import { afterAll, expect, test } from "vitest";
import { at } from "./json.ts";
import { deployment, deployments, maps, startTestServer } from "./testing.ts";

const api = await startTestServer();
afterAll(() => api.close());

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
