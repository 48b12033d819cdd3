/** Brings two servers to the same state: the same kinds, a namespace, and a user whose token both verify alike. */
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";
import type { Connection } from "../../kube/contract.ts";
import type { Api } from "./client.ts";
import { definition, subjects } from "./objects.ts";

export const namespace = "bench";

const account = { name: "bench", namespace };

/**
 * Prepares a fresh server and gives the benchmark's own way in: the token of a service account that is cluster-admin,
 * since that is what controllers have.
 *
 * @throws where a request is refused, or the custom resource is not served in 30 s
 */
export async function prepare({ url, ca, certificate, key, token }: Connection): Promise<Api> {
  const dispatcher = new Agent({
    connect: {
      ...(ca === undefined ? {} : { ca }),
      ...(certificate === undefined ? {} : { cert: certificate }),
      ...(key === undefined ? {} : { key }),
    },
  });
  const headers = {
    "content-type": "application/json",
    ...(typeof token === "string" ? { authorization: `Bearer ${token}` } : {}),
  };
  const ask = async (method: "GET" | "POST", path: string, body?: object) => {
    const answer = await request(`${url}${path}`, {
      method,
      dispatcher,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
    });
    return { status: answer.statusCode, body: (await answer.body.json()) as { status?: { token?: string } } };
  };
  const post = async (path: string, body: object) => {
    const answer = await ask("POST", path, body);
    if (answer.status !== 201) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  try {
    await post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition());
    await post("/api/v1/namespaces", { metadata: { name: namespace } });
    await post(`/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: account });
    await post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
      metadata: { name: "bench" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
      subjects: [{ kind: "ServiceAccount", ...account }],
    });
    for (const { path } of subjects) await served(() => ask("GET", path(namespace)), path(namespace));
    const { status } = await post(`/api/v1/namespaces/${namespace}/serviceaccounts/bench/token`, {
      spec: { expirationSeconds: 7200 },
    });
    return { url, ca: ca ?? "", token: status?.token ?? "" };
  } finally {
    await dispatcher.close();
  }
}

async function served(ask: () => Promise<{ status: number }>, path: string): Promise<void> {
  for (const end = performance.now() + 30_000; performance.now() < end; await sleep(50))
    if ((await ask()).status === 200) return;
  throw new Error(`${path} is not served`);
}
