import { afterAll, beforeAll, expect, test } from "vitest";
import { textAt } from "../json.ts";
import { startTestServer, type TestServer } from "../testing.ts";

let api: TestServer;
let now = Date.now();

beforeAll(async () => {
  api = await startTestServer({ now: () => now });
});
afterAll(() => api.close());

async function review(token: string, audiences?: string[]) {
  const body = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenReview",
    spec: { token, ...(audiences === undefined ? {} : { audiences }) },
  };
  return (await api.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", { body })).body.status;
}

async function request(spec: object): Promise<string> {
  const { body } = await api.call("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {
    body: { spec },
  });
  return textAt(body, "status", "token") ?? "";
}

test("nobody is let in without a certificate or a token; health and version are open", async () => {
  expect(await api.call("GET", "/api/v1/pods", { anonymous: true })).toMatchObject({
    status: 403,
    body: {
      reason: "Forbidden",
      message:
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope',
    },
  });
  expect((await api.call("GET", "/api/v1/pods", { token: "no-token-of-ours" })).status).toBe(401);
  for (const path of ["/healthz", "/livez", "/readyz", "/version"])
    expect((await api.call("GET", path, { anonymous: true })).status).toBe(200);
});

test("a service account's token authenticates as it", async () => {
  const token = await request({});
  const self = await api.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {
    token,
    body: {},
  });
  expect(self.body.status).toMatchObject({
    userInfo: {
      username: "system:serviceaccount:default:default",
      groups: ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
    },
  });
});

test("a token for another audience is good there and nowhere else", async () => {
  const token = await request({ audiences: ["istio-ca"] });
  expect(await review(token, ["istio-ca", "other"])).toMatchObject({
    authenticated: true,
    audiences: ["istio-ca"],
  });
  expect(await review(token)).not.toHaveProperty("authenticated");
  expect((await api.call("GET", "/api/v1/pods", { token })).status).toBe(401);
});

test("a token bound to a pod names it, and dies with it", async () => {
  const pods = "/api/v1/namespaces/default/pods";
  const { body } = await api.call("POST", pods, {
    body: { metadata: { name: "bound" }, spec: { containers: [{ name: "c", image: "i" }] } },
  });
  const uid = textAt(body, "metadata", "uid");
  const reference = { kind: "Pod", apiVersion: "v1", name: "bound", uid };
  const token = await request({ audiences: ["istio-ca"], boundObjectRef: reference });
  expect(await review(token, ["istio-ca"])).toMatchObject({
    user: {
      extra: {
        "authentication.kubernetes.io/pod-name": ["bound"],
        "authentication.kubernetes.io/pod-uid": [uid],
      },
    },
  });
  await api.call("DELETE", `${pods}/bound?gracePeriodSeconds=0`);
  expect(await review(token, ["istio-ca"])).not.toHaveProperty("authenticated");
  const again = await api.call("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {
    body: { spec: { boundObjectRef: reference } },
  });
  expect(again.status).toBe(404);
});

test("an altered or expired token is refused", async () => {
  const token = await request({ expirationSeconds: 600 });
  const [head, payload = "", signature] = token.split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
  const forged = Buffer.from(
    JSON.stringify({ ...claims, sub: "system:serviceaccount:kube-system:admin" }),
  ).toString("base64url");
  expect(await review([head, forged, signature].join("."))).not.toHaveProperty("authenticated");
  expect(await review(token)).toHaveProperty("authenticated", true);
  now += 601_000;
  expect(await review(token)).not.toHaveProperty("authenticated");
  expect(
    (
      await api.call("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {
        body: { spec: { expirationSeconds: 5 } },
      })
    ).status,
  ).toBe(422);
});

test("access reviews answer, and the key set verifies tokens", async () => {
  const body = { spec: { resourceAttributes: { verb: "get", resource: "pods", namespace: "default" } } };
  expect(
    (await api.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", { body })).body.status,
  ).toMatchObject({ allowed: true });
  expect((await api.call("GET", "/openid/v1/jwks")).body).toMatchObject({
    keys: [{ kty: "EC", crv: "P-256", alg: "ES256" }],
  });
});
