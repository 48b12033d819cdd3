import { join } from "node:path";
import { createClient } from "../kube/client.ts";
import type { Connection } from "../kube/contract.ts";
import { createRecorder } from "../kube/events.ts";
import { createInformers } from "../kube/informer.ts";
import { silent } from "../lib/log.ts";
import { defaultDataDir, openDataDir } from "./data-dir.ts";
import type { KubernetesOptions, LocalKubernetes } from "./index.ts";
import { hostAddress } from "./node/address.ts";
import { kubeletPort, serveKubelet } from "./node/kubelet-server.ts";
import { addLocalRange, removeLocalRange } from "./node/network/local-range.ts";
import { openPodNetwork, podRange, raiseLoopback } from "./node/network/open.ts";
import { startNode } from "./node/node.ts";
import { claimSubnet } from "./subnet.ts";

export interface AttachOptions
  extends Omit<
    KubernetesOptions,
    "resolveService" | "apiServer" | "subnet" | "laterPorts" | "autoscalerSyncPeriod"
  > {
  /** The API server whose pods this machine runs; it has controllers of its own. */
  readonly connection: Connection;
  /** Path of a kubeconfig for it, handed on as it is. */
  readonly kubeconfig: string;
}

/** Where the control plane of an embedded API would listen: what makes a claimed range free. */
const claimPort = 6443;

/**
 * Makes this machine a node of a Kubernetes that is already there: its pods without a node are bound here and run as
 * processes. For test clusters without a scheduler or nodes of their own.
 *
 * Pods have addresses of 10.S.0.0/16, which this machine then has on its loopback interface: a real API server takes no
 * loopback address as an endpoint.
 *
 * @throws Error with one line that says what to do: folder in use, not root
 */
export async function attachKubernetes(options: AttachOptions): Promise<LocalKubernetes> {
  const { logger = silent, connection, kubeconfig, images = new Map(), proxyImage, backOff, envoy } = options;
  const dataDir = openDataDir(options.dataDir ?? defaultDataDir());
  const ends: (() => Promise<void> | void)[] = [() => dataDir.release()];
  const close = async () => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    await raiseLoopback();
    const subnet = await claimSubnet(dataDir, claimPort);
    const { network: mode = "loopback" } = options;
    // A real API server takes no loopback address as an endpoint.
    const range = podRange(subnet, "netns");
    const host = hostAddress(range);
    if (mode === "loopback") await addLocalRange(range);
    const network = await openPodNetwork({ mode, dataDir: dataDir.root, range, logger });
    let podsAreStopped = false;
    ends.push(() => (podsAreStopped ? network.destroy() : network.close()));
    const client = createClient(connection);
    ends.push(() => client.close());
    const recorder = createRecorder(client, logger);
    ends.push(() => recorder.close());
    const informers = createInformers(client, logger);
    ends.push(() => informers.close());
    await network.follow(informers);
    const node = await startNode({
      client,
      informers,
      recorder,
      logger: logger.child({ room: "node" }),
      dataDir: dataDir.root,
      network,
      images,
      envoy,
      apiServer: new URL(connection.url),
      kubeletPort,
      ...(proxyImage === undefined ? {} : { proxyImage }),
      ...(backOff === undefined ? {} : { backOff }),
    });
    ends.push(() => node.close());
    const stopPods = async () => {
      await node.stopAll();
      podsAreStopped = true;
    };
    const kubelet = await serveKubelet({
      host,
      keys: join(dataDir.root, "kubelet"),
      podLog: (namespace, name, options) => node.podLog(namespace, name, options),
    });
    ends.push(() => kubelet.close());
    return {
      url: connection.url,
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
        if (mode === "loopback") await removeLocalRange(range);
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
