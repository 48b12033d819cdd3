/** An API server for a suite: the embedded one, or, where `npm run e2e -- --cluster real` asks for it, a kube-apiserver. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accountToken } from "../../cli/up/account-token.ts";
import { createClient } from "../../kube/client.ts";
import type { Connection } from "../../kube/contract.ts";
import { silent } from "../../lib/log.ts";
import { startCluster } from "../../test/cluster/start.ts";
import { serveKubernetes } from "../apiserver/serve.ts";

export interface TestApiServer {
  readonly kind: "embedded" | "real";
  /** Of an administrator. */
  readonly connection: Connection;
  /** Path of a kubeconfig for the same user. */
  readonly kubeconfig: string;
  /** What a room may do in a cluster: the Helm chart's service account on a real server, the administrator on the embedded one. */
  connectionOf(room: "controller" | "mesh" | "webhooks"): Connection;
  /** Ends the server and starts it on the same port and the same state; the embedded one only. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Which one it will be. */
export const testApiServer: TestApiServer["kind"] =
  process.env.FAIRLEAD_E2E_CLUSTER === "real" ? "real" : "embedded";

/** Those that tests do not stand in for: none that acts on workloads. */
const controllers = [
  "namespace-controller",
  "serviceaccount-controller",
  "root-ca-certificate-publisher-controller",
  "garbage-collector-controller",
  "clusterrole-aggregation-controller",
];

export function startTestApiServer(): Promise<TestApiServer> {
  return testApiServer === "real" ? startReal() : startEmbedded();
}

async function startEmbedded(): Promise<TestApiServer> {
  const dataDir = await mkdtemp(join(tmpdir(), "fairlead-server-"));
  const serve = (port: number) => serveKubernetes({ dataDir, host: "127.0.0.1", port, logger: silent });
  let server = await serve(0);
  const kubeconfig = join(dataDir, "kubeconfig");
  await writeFile(kubeconfig, server.kubeconfig());
  const connection = server.connection();
  return {
    kind: "embedded",
    connection,
    kubeconfig,
    connectionOf: () => connection,
    async restart() {
      await server.close();
      server = await serve(Number(new URL(connection.url).port));
    },
    async close() {
      await server.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function startReal(): Promise<TestApiServer> {
  const cluster = await startCluster({
    controllers: true,
    controllerNames: controllers.join(","),
    accounts: true,
  });
  const { connection, kubeconfig, account = "" } = cluster;
  const administrator = createClient(connection);
  const { url, ca } = connection;
  return {
    kind: "real",
    connection,
    kubeconfig,
    connectionOf: (room) => ({
      url,
      ...(ca !== undefined && { ca }),
      token: accountToken(administrator, `${account}-${room}`),
    }),
    restart: () => Promise.reject(new Error("a real API server is not restarted here")),
    async close() {
      await administrator.close();
      await cluster.stop();
    },
  };
}
