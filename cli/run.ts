/** The composition root of one machine: an API server, pods as processes, and the control plane's rooms. */
import { loadConnection } from "../kube/kubeconfig.ts";
import type { Logger } from "../lib/log.ts";
import { askVersion } from "../local/envoy/version.ts";
import { attachKubernetes, type LocalKubernetes, startKubernetes } from "../local/index.ts";
import type { Images } from "../local/node/image.ts";
import { hasUser, proxyUser } from "../local/node/network/available.ts";
import type { NetworkMode } from "../local/node/network/pod-network.ts";
import { portProblem } from "../local/subnet.ts";
import { agentCommand } from "../mesh/agent/command.ts";
import type { InjectionConfig } from "../webhooks/admission/inject/config.ts";
import { type OpenCluster, openConnection } from "./open-cluster.ts";
import { type Access, type Rooms, startRooms } from "./rooms/all.ts";
import { ports } from "./rooms/ports.ts";
import { accountToken } from "./up/account-token.ts";
import { install } from "./up/install.ts";
import { recordsFolder } from "./up/state.ts";

export interface ControlPlaneOptions {
  readonly dataDir: string;
  /** Path of the Envoy that sidecars run. */
  readonly envoy: string;
  readonly logger: Logger;
  /** What stands for images, beside our own. */
  readonly images?: Images;
  /** The pods' data path. */
  readonly network: NetworkMode;
  /** Of an API server that is there already, whose pods this machine is to run; default an embedded one. */
  readonly kubeconfig?: string;
  /**
   * With `kubeconfig`: `namespace/name` of the service accounts that the rooms use instead of its user, as the Helm
   * chart names them: `name-controller`, `name-mesh` and `name-webhooks`.
   */
  readonly account?: string;
}

export interface ControlPlane {
  /** Of the Kubernetes API. */
  readonly url: string;
  /** Path of the kubeconfig. */
  readonly kubeconfig: string;
  /** Ends the control plane; pods and sidecars go on. */
  close(): Promise<void>;
  /** Stops every pod, then the control plane. */
  stopAll(): Promise<void>;
}

/**
 * Starts everything and resolves once it serves.
 *
 * @throws Error with one line that says what to do: folder or port in use, no space, no Envoy
 */
export async function runControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { envoy, logger, account } = options;
  // Sidecars inherit it from the pod runner.
  process.env.ENVOY_BIN = envoy;
  const kubernetes = await startOrAttach(options);
  let rooms: Rooms | undefined;
  const opened: OpenCluster[] = [];
  const accessOf = (room: string): Access => {
    if (account === undefined) return kubernetes;
    const access = openAs(`${account}-${room}`, kubernetes, logger);
    opened.push(access);
    return access;
  };
  const closeAll = async () => {
    for (const access of opened) await access.close();
    await kubernetes.close();
  };
  try {
    const { host } = kubernetes;
    for (const port of Object.values(ports)) {
      const problem = await portProblem(host, port);
      if (problem !== undefined) throw new Error(problem);
    }
    await install(kubernetes.client);
    const envoyVersion = await askVersion(options.envoy);
    rooms = await startRooms({
      access: {
        controller: accessOf("controller"),
        mesh: accessOf("mesh"),
        webhooks: accessOf("webhooks"),
      },
      logger,
      host,
      addresses: [host],
      // Whichever addresses its pods have, all is on this machine.
      loopback: true,
      noLoadBalancer: options.network === "netns",
      records: recordsFolder(options.dataDir),
      settings: { envoyVersion },
      webhooks: {
        defaults: { envoyVersion },
        at: { url: `https://${host}:${ports.webhooks}` },
        injection: {
          discoveryAddress: `${host}:${ports.tls}`,
          ...interceptionOf(options.network),
          noProxy: [host],
        },
      },
    });
  } catch (error) {
    await rooms?.close();
    await closeAll();
    throw error;
  }
  const { url, kubeconfig } = kubernetes;
  const started = rooms;
  const close = async () => {
    await started.close();
    await closeAll();
  };
  return {
    url,
    kubeconfig,
    close,
    async stopAll() {
      await started.stopController();
      await kubernetes.stopPods();
      await close();
    },
  };
}

/** Where sidecars cannot be told by their user, they are by a mark. */
function interceptionOf(network: NetworkMode): Pick<InjectionConfig, "interception" | "socketMark"> {
  if (network === "loopback") return { interception: "NONE" };
  return { interception: "REDIRECT", ...(hasUser(proxyUser) ? {} : { socketMark: proxyUser }) };
}

async function startOrAttach({
  dataDir,
  logger,
  kubeconfig,
  network,
  images: own = new Map(),
}: ControlPlaneOptions): Promise<LocalKubernetes> {
  const images: Images = new Map([...own, ["fairlead/proxy", agentCommand()]]);
  const shared = { dataDir, logger, network, images };
  // Asked before there are pods, which outlive a control plane that cannot start.
  if (kubeconfig === undefined) return startKubernetes({ ...shared, laterPorts: Object.values(ports) });
  return attachKubernetes({ ...shared, kubeconfig, connection: await loadConnection({ kubeconfig }) });
}

/** A client that is a service account, and what is built on it. */
function openAs(account: string, { client, connection }: LocalKubernetes, logger: Logger): OpenCluster {
  const { url, ca } = connection;
  const token = accountToken(client, account);
  return openConnection({ url, ...(ca === undefined ? {} : { ca }), token }, logger);
}
