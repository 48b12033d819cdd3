/** The two servers, each with nothing in it, reached the same way. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, type Dispatcher } from "undici";
import { silent } from "../../lib/log.ts";
import { serveKubernetes } from "../../local/apiserver/serve.ts";
import { startCluster } from "../cluster/start.ts";

export interface Server {
  readonly name: "embedded" | "real";
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  /** Of an administrator. */
  readonly kubeconfig: string;
  /** Sends as an administrator, where `headers` are added. */
  readonly admin: Dispatcher;
  readonly headers: Readonly<Record<string, string>>;
  /** Sends as nobody, or as the bearer of a token. */
  readonly plain: Dispatcher;
  stop(): Promise<void>;
}

const controllers = [
  "namespace-controller",
  "serviceaccount-controller",
  "root-ca-certificate-publisher-controller",
  "garbage-collector-controller",
  "clusterrole-aggregation-controller",
];

/** Starts a real kube-apiserver, with those controllers that are part of the embedded server too. */
export async function startReal(say: (line: string) => void): Promise<Server> {
  const cluster = await startCluster({ controllers: true, controllerNames: controllers.join(","), say });
  const plain = new Agent({ allowH2: false, connect: { ca: cluster.ca } });
  return {
    name: "real",
    url: cluster.url,
    ca: cluster.ca,
    kubeconfig: await readFile(cluster.kubeconfig, "utf8"),
    admin: plain,
    headers: { authorization: `Bearer ${cluster.token}` },
    plain,
    async stop() {
      await plain.destroy();
      await cluster.stop();
    },
  };
}

/** Starts the embedded server. */
export async function startEmbedded(): Promise<Server> {
  const dataDir = await mkdtemp(join(tmpdir(), "fairlead-conformance-"));
  const server = await serveKubernetes({ dataDir, host: "127.0.0.1", port: 0, logger: silent });
  const { certificate, key } = server.admin;
  const admin = new Agent({ allowH2: false, connect: { ca: server.ca, cert: certificate, key } });
  const plain = new Agent({ allowH2: false, connect: { ca: server.ca } });
  return {
    name: "embedded",
    url: server.url,
    ca: server.ca,
    kubeconfig: server.kubeconfig(),
    admin,
    headers: {},
    plain,
    async stop() {
      await admin.destroy();
      await plain.destroy();
      await server.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
