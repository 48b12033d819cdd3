import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The Kubernetes that a demo runs on; without a kubeconfig an embedded one of its own. */
export interface DemoCluster {
  readonly kubeconfig?: string;
  /** `namespace/name` of the service accounts that the control plane uses; its user's rights where absent. */
  readonly account?: string;
  /** For people. */
  readonly words: string;
  stop(): Promise<void>;
}

/** What a checkout's `test/cluster` offers. */
interface ClusterStarter {
  startCluster(options: {
    readonly controllers: boolean;
    readonly accounts: boolean;
    readonly say: (line: string) => void;
  }): Promise<{
    readonly kubeconfig: string;
    readonly account?: string;
    stop(): Promise<void>;
  }>;
}

/**
 * @param choice `local`, `real` (kube-apiserver, kube-controller-manager and etcd, built by a checkout's test/cluster),
 * or the path of a kubeconfig
 * @throws Error with one line that says what to do
 */
export async function openCluster(choice: string, say: (line: string) => void): Promise<DemoCluster> {
  if (choice === "local") return { words: "an embedded Kubernetes API", stop: async () => undefined };
  if (choice !== "real") {
    const kubeconfig = resolve(choice);
    if (!existsSync(kubeconfig))
      throw new Error(`--cluster \`${choice}\`: say \`local\`, \`real\` or the path of a kubeconfig`);
    return { kubeconfig, words: `the cluster of ${kubeconfig}`, stop: async () => undefined };
  }
  const starter = new URL("../../test/cluster/start.ts", import.meta.url);
  if (!existsSync(fileURLToPath(starter)))
    throw new Error(
      "--cluster `real` needs a checkout of fairlead, whose tests build Kubernetes: name a kubeconfig",
    );
  const kubernetes: ClusterStarter = await import(starter.href);
  const cluster = await kubernetes.startCluster({ controllers: true, accounts: true, say });
  return {
    kubeconfig: cluster.kubeconfig,
    ...(cluster.account !== undefined && { account: cluster.account }),
    words: "a kube-apiserver with kube-controller-manager and etcd",
    stop: () => cluster.stop(),
  };
}
