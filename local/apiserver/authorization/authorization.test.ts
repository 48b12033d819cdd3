/** Roles and bindings in a server: what a service account may do, and who may act as somebody else. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { textAt } from "../json.ts";
import { configMap, maps, startTestServer, type TestServer } from "../testing.ts";

const rbac = "/apis/rbac.authorization.k8s.io/v1";
let api: TestServer;
let token: string;

beforeAll(async () => {
  api = await startTestServer();
  await api.call("POST", "/api/v1/namespaces/default/serviceaccounts", {
    body: { metadata: { name: "robot" } },
  });
  const { body } = await api.call("POST", "/api/v1/namespaces/default/serviceaccounts/robot/token", {
    body: { spec: {} },
  });
  token = textAt(body, "status", "token") ?? "";
});
afterAll(() => api.close());

async function bind(name: string, roleRef: object, namespace?: string): Promise<void> {
  const where = namespace === undefined ? "clusterrolebindings" : `namespaces/${namespace}/rolebindings`;
  const { status } = await api.call("POST", `${rbac}/${where}`, {
    body: {
      metadata: { name },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", ...roleRef },
      subjects: [{ kind: "ServiceAccount", name: "robot", namespace: "default" }],
    },
  });
  expect(status).toBe(201);
}

const statusOf = async (method: string, path: string, body?: unknown) =>
  (await api.call(method, path, { token, ...(body === undefined ? {} : { body }) })).status;

test("a service account may do what its roles say, where they are bound, from the next request on", async () => {
  expect(await statusOf("GET", maps)).toBe(403);
  await api.call("POST", `${rbac}/namespaces/default/roles`, {
    body: {
      metadata: { name: "reader" },
      rules: [{ apiGroups: [""], resources: ["configmaps"], verbs: ["get", "list"] }],
    },
  });
  await bind("reads", { kind: "Role", name: "reader" }, "default");
  expect(await statusOf("GET", maps)).toBe(200);
  expect(await statusOf("GET", "/api/v1/namespaces/kube-public/configmaps")).toBe(403);
  expect(await statusOf("GET", "/api/v1/configmaps")).toBe(403);
  expect(await statusOf("POST", maps, configMap("a"))).toBe(403);
  await bind("edits", { kind: "ClusterRole", name: "edit" }, "default");
  expect(await statusOf("POST", maps, configMap("a"))).toBe(201);
  await api.call("DELETE", `${rbac}/namespaces/default/rolebindings/edits`);
  expect(await statusOf("POST", maps, configMap("b"))).toBe(403);
});

test("cluster roles that are put together take up a new role's rules", async () => {
  await bind("views", { kind: "ClusterRole", name: "view" });
  const leases = "/apis/coordination.k8s.io/v1/leases";
  expect(await statusOf("GET", leases)).toBe(403);
  await api.call("POST", `${rbac}/clusterroles`, {
    body: {
      metadata: { name: "view-leases", labels: { "rbac.authorization.k8s.io/aggregate-to-view": "true" } },
      rules: [{ apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["list"] }],
    },
  });
  await expect.poll(() => statusOf("GET", leases)).toBe(200);
});

test("paths that are no resource are judged too", async () => {
  expect(await statusOf("GET", "/openapi/v3")).toBe(200);
  expect(await statusOf("GET", "/metrics")).toBe(403);
});
