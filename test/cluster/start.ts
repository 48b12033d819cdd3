/** Starts a real Kubernetes API (etcd, kube-apiserver, on request kube-controller-manager) on free loopback ports. */
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";
import type { Connection } from "../../kube/contract.ts";
import { buildHelm, buildParts, type ClusterParts } from "./build.ts";
import { chartAccount, installAccounts } from "./chart.ts";

export interface ClusterOptions {
  /** Runs kube-controller-manager too. Default false. */
  readonly controllers?: boolean;
  /** Its `--controllers`. Default: all that need no cloud and no nodes of their own. */
  readonly controllerNames?: string;
  /** More flags for kube-apiserver. */
  readonly apiServerFlags?: readonly string[];
  /** Puts the Helm chart's service accounts and their roles into it: {@link Cluster.account}. Default false. */
  readonly accounts?: boolean;
  readonly say?: (line: string) => void;
}

export interface Cluster {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  /** Bearer token of a user in system:masters. */
  readonly token: string;
  readonly connection: Connection;
  /** Path of a kubeconfig for the same user. */
  readonly kubeconfig: string;
  readonly parts: ClusterParts;
  /** `namespace/name` of the chart's service accounts, without the room behind it, where they were asked for. */
  readonly account?: string;
  /** Process ids by part. */
  readonly pids: Readonly<Record<"etcd" | "apiServer" | "controllerManager", number | undefined>>;
  /** Ends every process and removes the folder. */
  stop(): Promise<void>;
}

const controllersOfLaptops =
  "*,-nodeipam,-nodelifecycle,-cloud-node-lifecycle,-service-lb-controller,-node-route-controller";

/**
 * Starts a cluster of its own, with nothing in it.
 *
 * @throws with the last lines of the part's log where one ends or does not get ready in 60 s
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const parts = await buildParts(options.say);
  if (options.accounts === true) await buildHelm(options.say);
  const folder = await mkdtemp(join(tmpdir(), "fairlead-cluster-"));
  const started: Part[] = [];
  const stop = async () => {
    for (const part of started.toReversed()) await part.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const [client = 0, peer = 0, port = 0] = await freePorts(3);
    const token = randomBytes(16).toString("hex");
    await writeFile(join(folder, "tokens.csv"), `${token},admin,admin,system:masters\n`);
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    await writeFile(join(folder, "sa.key"), privateKey.export({ type: "pkcs8", format: "pem" }));
    await writeFile(join(folder, "sa.pub"), publicKey.export({ type: "spki", format: "pem" }));
    const etcd = new Part("etcd", parts.etcd, folder, [
      `--data-dir=${join(folder, "etcd")}`,
      `--listen-client-urls=http://127.0.0.1:${client}`,
      `--advertise-client-urls=http://127.0.0.1:${client}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      "--log-level=warn",
    ]);
    started.push(etcd);
    const apiServer = new Part("kube-apiserver", parts.apiServer, folder, [
      `--etcd-servers=http://127.0.0.1:${client}`,
      `--secure-port=${port}`,
      "--bind-address=127.0.0.1",
      `--cert-dir=${join(folder, "certs")}`,
      `--service-account-key-file=${join(folder, "sa.pub")}`,
      `--service-account-signing-key-file=${join(folder, "sa.key")}`,
      "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
      "--service-cluster-ip-range=10.96.0.0/16",
      "--authorization-mode=RBAC",
      `--token-auth-file=${join(folder, "tokens.csv")}`,
      "--endpoint-reconciler-type=none",
      "--allow-privileged=true",
      ...(options.apiServerFlags ?? []),
    ]);
    started.push(apiServer);
    const url = `https://127.0.0.1:${port}`;
    await ready(url, token, [etcd, apiServer]);
    // It signs its own certificate, for this address too.
    const ca = await readFile(join(folder, "certs", "apiserver.crt"), "utf8");
    const kubeconfig = join(folder, "kubeconfig");
    await writeFile(kubeconfig, kubeconfigText(url, ca, token), { mode: 0o600 });
    let controllerManager: Part | undefined;
    if (options.controllers === true) {
      controllerManager = new Part("kube-controller-manager", parts.controllerManager, folder, [
        `--kubeconfig=${kubeconfig}`,
        `--controllers=${options.controllerNames ?? controllersOfLaptops}`,
        "--leader-elect=false",
        "--secure-port=0",
        `--service-account-private-key-file=${join(folder, "sa.key")}`,
        `--root-ca-file=${join(folder, "certs", "apiserver.crt")}`,
        "--use-service-account-credentials=false",
      ]);
      started.push(controllerManager);
    }
    if (options.accounts === true) await installAccounts({ kubectl: parts.kubectl, kubeconfig });
    return {
      ...(options.accounts === true && { account: chartAccount }),
      url,
      ca,
      token,
      connection: { url, ca, token },
      kubeconfig,
      parts,
      pids: { etcd: etcd.pid, apiServer: apiServer.pid, controllerManager: controllerManager?.pid },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const running = new Set<ChildProcess>();

// Who ends by an error of their own leaves no cluster behind.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** One process of the cluster, with its log in a file. */
class Part {
  readonly name: string;
  readonly #log: string;
  readonly #child: ChildProcess;

  constructor(name: string, path: string, folder: string, flags: readonly string[]) {
    this.name = name;
    this.#log = join(folder, `${name}.log`);
    const log = openSync(this.#log, "a");
    this.#child = spawn(path, flags, { cwd: folder, stdio: ["ignore", log, log] });
    closeSync(log);
    const child = this.#child;
    running.add(child);
    child.once("exit", () => running.delete(child));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  lastLines(): string {
    return readFileSync(this.#log, "utf8").trimEnd().split("\n").slice(-5).join("\n");
  }

  async stop(): Promise<void> {
    if (this.ended) return;
    const gone = once(this.#child, "exit");
    // Nothing in it is kept: there is no reason to wait for a graceful end.
    this.#child.kill("SIGKILL");
    await gone;
  }
}

async function ready(url: string, token: string, parts: readonly Part[]): Promise<void> {
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  try {
    for (const end = performance.now() + 60_000; performance.now() < end; await sleep(100)) {
      for (const part of parts) if (part.ended) throw new Error(`${part.name} ended:\n${part.lastLines()}`);
      const status = await request(`${url}/readyz`, {
        dispatcher,
        headers: { authorization: `Bearer ${token}` },
      }).then(
        async ({ statusCode, body }) => {
          await body.dump();
          return statusCode;
        },
        () => 0,
      );
      if (status === 200) return;
    }
    throw new Error(`not ready in 60 s:\n${parts.map((part) => part.lastLines()).join("\n")}`);
  } finally {
    await dispatcher.close();
  }
}

function kubeconfigText(url: string, ca: string, token: string): string {
  const name = "fairlead-test";
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      { name, cluster: { server: url, "certificate-authority-data": Buffer.from(ca).toString("base64") } },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    "current-context": name,
  });
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  return Promise.all(
    servers.map(async (server) => {
      const address = server.address();
      server.close();
      await once(server, "close");
      return typeof address === "object" && address !== null ? address.port : 0;
    }),
  );
}
