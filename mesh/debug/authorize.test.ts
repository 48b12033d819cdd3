import { afterAll, beforeAll, expect, test } from "vitest";
import { NamespaceKind, ServiceAccountKind } from "../../api/core.ts";
import { debugAccount, homeNamespace, install } from "../../cli/up/install.ts";
import { createClient } from "../../kube/client.ts";
import type { Client } from "../../kube/contract.ts";
import { startTestApiServer, type TestApiServer } from "../../local/testing/api-server.ts";
import { authorizeDebug, debugAudience } from "./authorize.ts";

let kubernetes: TestApiServer;
let admin: Client;
/** Of the mesh: on a real API server it may do what the Helm chart's roles allow. */
let own: Client;

beforeAll(async () => {
  kubernetes = await startTestApiServer();
  admin = createClient(kubernetes.connection);
  own = createClient(kubernetes.connectionOf("mesh"));
  await install(admin);
  await admin.create(NamespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } });
  await admin.create(ServiceAccountKind, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "cart", namespace: "shop" },
  });
});

afterAll(async () => {
  await own.close();
  await admin.close();
  await kubernetes.close();
});

async function bearer(account: string, audiences?: readonly string[]): Promise<string> {
  const [namespace, name] = account.split("/");
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
  const answer = await admin.request<{ status: { token: string } }>("POST", path, {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: { ...(audiences && { audiences }), expirationSeconds: 600 },
  });
  return `Bearer ${answer.status.token}`;
}

const account = `${homeNamespace}/${debugAccount}`;
const see = (authorization: string | undefined, path = "/debug/syncz") =>
  authorizeDebug(own, authorization, path);

test("the account that is installed may see the debug pages, by a token made for them, and no other path", async () => {
  const token = await bearer(account, [debugAudience]);
  expect(await see(token)).toBeUndefined();
  expect(await see(token, "/debug/config_dump")).toBeUndefined();
  expect(await see(token, "/metrics")).toMatchObject({ status: 403 });
});

test("nobody without a token, by one for another audience, or without the right", async () => {
  expect(await see(undefined)).toMatchObject({
    status: 401,
    message: expect.stringContaining("fairlead-debug"),
  });
  expect(await see("Bearer nonsense")).toMatchObject({ status: 401 });
  expect(await see(await bearer(account))).toMatchObject({ status: 401 });
  expect(await see(await bearer("shop/cart", [debugAudience]))).toEqual({
    status: 403,
    message: expect.stringMatching(
      /^`system:serviceaccount:shop:cart` may not get \/debug\/syncz: .*nonResourceURLs/,
    ),
  });
});

test("while the API server does not answer nobody is let in", async () => {
  const nowhere = createClient({ url: "http://127.0.0.1:1" });
  expect(await authorizeDebug(nowhere, "Bearer some", "/debug/syncz")).toMatchObject({ status: 503 });
  await nowhere.close();
});
