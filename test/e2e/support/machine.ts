/** A machine that runs pods, on the Kubernetes that `npm run e2e -- --cluster` names; no mesh, no controller of ours. */
import { join } from "node:path";
import {
  attachKubernetes,
  type KubernetesOptions,
  type LocalKubernetes,
  startKubernetes,
} from "../../../local/index.ts";
import type { NetworkMode } from "../../../local/node/network/pod-network.ts";
import { startCluster } from "../../cluster/start.ts";

/** `real`: kube-apiserver, kube-controller-manager and etcd, with this machine as their node. */
export const onReal = process.env.FAIRLEAD_E2E_CLUSTER === "real";

/** The pods' data path, as `npm run e2e -- --network` names it. */
export const network: NetworkMode = process.env.FAIRLEAD_NETWORK === "netns" ? "netns" : "loopback";

/** Starts the machine in a folder of its own; `stopAll` stops everything that was started. */
export async function startMachine(
  folder: string,
  options: Pick<KubernetesOptions, "images" | "autoscalerSyncPeriod" | "network">,
): Promise<LocalKubernetes> {
  const backOff = { initial: 300, maximum: 1000, resetAfter: 60_000 };
  const shared = { network, ...options, dataDir: join(folder, "data"), backOff };
  if (!onReal) return startKubernetes(shared);
  const cluster = await startCluster({ controllers: true });
  const { connection, kubeconfig } = cluster;
  try {
    const machine = await attachKubernetes({ ...shared, connection, kubeconfig });
    return {
      ...machine,
      async stopAll() {
        await machine.stopAll();
        await cluster.stop();
      },
    };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}
