/** A Kubernetes on one machine: the published entry `fairlead/local`. */
// First: what follows uses it.
import "../lib/older-node.ts";
import { renameSync, writeFileSync } from "node:fs";
import { createClient } from "../kube/client.ts";
import type { Client, Connection, Informers, Recorder } from "../kube/contract.ts";
import { createRecorder } from "../kube/events.ts";
import { createInformers } from "../kube/informer.ts";
import { type Logger, silent } from "../lib/log.ts";
import { type ResolveService, serveKubernetes } from "./apiserver/serve.ts";
import { startControllers } from "./controllers/start.ts";
import {
  type DataDir,
  DataDirError,
  defaultDataDir,
  explainDisk,
  isDiskFull,
  openDataDir,
  writeSubnet,
} from "./data-dir.ts";
import { hostAddress } from "./node/address.ts";
import type { Images } from "./node/image.ts";
import { type NetworkMode, openPodNetwork, podRange, raiseLoopback } from "./node/network/open.ts";
import { type NodeOptions, type RunningNode, startNode } from "./node/node.ts";
import { PodLogError } from "./node/pod-log.ts";
import { claimSubnet, portProblem } from "./subnet.ts";

/** The kinds that `LocalKubernetes.client` takes, for those who use it as a library. */
export {
  ConfigMapKind,
  DeploymentKind,
  EndpointSliceKind,
  NamespaceKind,
  PodKind,
  SecretKind,
  ServiceKind,
} from "../api/core.ts";
export type { Client } from "../kube/contract.ts";
export { type AttachOptions, attachKubernetes } from "./attach.ts";
export type { ImageProgram, Images } from "./node/image.ts";

export interface KubernetesOptions {
  /** State, pods and kubeconfig. Default `~/.fairlead`. One process at a time. */
  readonly dataDir?: string;
  /** The S of 127.S.0.0/16. Default: the folder's own, else the first whose port 6443 is free. */
  readonly subnet?: number;
  /** Ports of the control plane's address that the caller takes later: where one is in use, nothing starts. */
  readonly laterPorts?: readonly number[];
  /** Image name → the command that stands for it; a name without tag for all of its tags. */
  readonly images?: Images;
  /** Image name, without tag, of the sidecar. Default `fairlead/proxy`. */
  readonly proxyImage?: string;
  /** Path of Envoy, for sidecars. Default: this process's `ENVOY_BIN`. */
  readonly envoy?: string;
  /** Where an admission webhook that names a Service is reached from this process. */
  readonly resolveService?: ResolveService;
  /** The pods' data path; see `NetworkMode`. Default `loopback`. `netns` needs root. */
  readonly network?: NetworkMode;
  readonly logger?: Logger;
  /** How long crashing containers are held back. Default: the kubelet's 10 s to 5 min. */
  readonly backOff?: NodeOptions["backOff"];
  /** Milliseconds between two looks of a HorizontalPodAutoscaler. Default 15,000, as Kubernetes'. */
  readonly autoscalerSyncPeriod?: number;
}

export interface LocalKubernetes {
  /** `https://127.S.0.1:6443`; `https://10.S.0.1:6443` where pods have network namespaces */
  readonly url: string;
  readonly connection: Connection;
  /** Path of the kubeconfig. */
  readonly kubeconfig: string;
  readonly subnet: number;
  /** Address of the control plane, e.g. `127.77.0.1`. */
  readonly host: string;
  /** Shared by everything in this process; `close` closes them. */
  readonly client: Client;
  readonly informers: Informers;
  readonly recorder: Recorder;
  /** Ends the control plane. Pods go on and are adopted by the next start on this folder. */
  close(): Promise<void>;
  /** Stops every pod, gracefully and then by force; the API server goes on. */
  stopPods(): Promise<void>;
  /** `stopPods`, then `close`. */
  stopAll(): Promise<void>;
}

const port = 6443;

/**
 * Starts the API server, the controllers and the node on what `dataDir` holds.
 *
 * @throws Error with one line that says what to do: folder in use, port in use, no space
 */
export async function startKubernetes(options: KubernetesOptions = {}): Promise<LocalKubernetes> {
  const { logger = silent } = options;
  const dataDir = openDataDir(options.dataDir ?? defaultDataDir());
  const ends: (() => Promise<void> | void)[] = [() => dataDir.release()];
  const close = async () => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    await raiseLoopback();
    const subnet = await chooseSubnet(dataDir, options.subnet);
    let node: RunningNode | undefined;
    const mode = options.network ?? "loopback";
    const range = podRange(subnet, mode);
    const host = hostAddress(range);
    const network = await openPodNetwork({ mode, dataDir: dataDir.root, range, logger });
    let podsAreStopped = false;
    ends.push(() => (podsAreStopped ? network.destroy() : network.close()));
    for (const needed of [port, ...(options.laterPorts ?? [])]) {
      const problem = await portProblem(host, needed);
      if (problem !== undefined) throw new Error(problem);
    }
    const server = await serveKubernetes({
      dataDir: dataDir.state,
      host,
      port,
      logger: logger.child({ room: "apiserver" }),
      podLog: (namespace, name, query) => {
        if (!node) throw new PodLogError(404, "the node is still starting: try again");
        return node.podLog(namespace, name, query);
      },
      ...(options.resolveService === undefined ? {} : { resolveService: options.resolveService }),
    });
    ends.push(() => server.close());
    writeKubeconfig(dataDir.kubeconfig, server.kubeconfig());

    const connection = server.connection();
    const client = createClient(connection);
    ends.push(() => client.close());
    const recorder = createRecorder(client, logger);
    ends.push(() => recorder.close());
    const informers = createInformers(client, logger);
    ends.push(() => informers.close());

    const autoscalers = {
      usages: () => node?.usages() ?? new Map(),
      syncPeriod: options.autoscalerSyncPeriod ?? 15_000,
    };
    const controllers = await startControllers({ client, informers, recorder, logger, autoscalers });
    ends.push(() => controllers.close());
    const { images = new Map(), proxyImage, backOff, envoy } = options;
    await network.follow(informers);
    const running = await startNode({
      client,
      informers,
      recorder,
      logger: logger.child({ room: "node" }),
      dataDir: dataDir.root,
      network,
      images,
      envoy,
      ...(proxyImage === undefined ? {} : { proxyImage }),
      ...(backOff === undefined ? {} : { backOff }),
    });
    node = running;
    ends.push(() => running.close());
    const stopPods = async () => {
      await running.stopAll();
      podsAreStopped = true;
    };
    const { url } = server;
    const { kubeconfig } = dataDir;
    return {
      url,
      connection,
      kubeconfig,
      subnet,
      host,
      client,
      informers,
      recorder,
      close,
      stopPods,
      async stopAll() {
        await stopPods();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw isDiskFull(error) ? new DataDirError(explainDisk(error, dataDir.root)) : error;
  }
}

/** The asked one, the folder's own, or a free one; kept with the folder, as its pods have addresses in it. */
function chooseSubnet(dataDir: DataDir, asked: number | undefined): Promise<number> {
  if (asked !== undefined) writeSubnet(dataDir, asked);
  return claimSubnet(dataDir, port);
}

/** Renamed into place, so that a reader never sees half of it. It holds the administrator's key. */
function writeKubeconfig(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
