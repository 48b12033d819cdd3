import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import type { Client } from "../kube/contract.ts";

/** What a command that talks to a cluster takes. */
export interface ClusterOptions {
  readonly namespace?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

export interface Cluster {
  readonly client: Client;
  readonly url: string;
  /** Given by `-n`, else the context's, else `default`. */
  readonly namespace: string;
}

/** Adds `-n`, `--kubeconfig` and `--context`. */
export function addClusterOptions(command: Command): Command {
  return command
    .option("-n, --namespace <name>", "namespace; default is the context's")
    .option("--kubeconfig <path>", "default: $KUBECONFIG, ~/.fairlead/kubeconfig, ~/.kube/config")
    .option("--context <name>", "context of the kubeconfig");
}

/** Opens the cluster that the options mean, runs `action` on it and closes it. */
export async function withCluster<T>(
  options: ClusterOptions,
  action: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  // Loaded late, so that wrong use is told at once.
  const [{ createClient }, { loadConnection }] = await Promise.all([
    import("../kube/client.ts"),
    import("../kube/kubeconfig.ts"),
  ]);
  const connection = await loadConnection({
    kubeconfig: options.kubeconfig ?? localKubeconfig(),
    context: options.context,
  });
  const client = createClient(connection);
  try {
    const namespace = options.namespace ?? connection.namespace ?? "default";
    return await action({ client, url: connection.url, namespace });
  } finally {
    await client.close();
  }
}

/** What `fairlead up` wrote, where nothing else was asked for. */
function localKubeconfig(): string | undefined {
  if (process.env.KUBECONFIG) return undefined;
  const path = join(homedir(), ".fairlead", "kubeconfig");
  return existsSync(path) ? path : undefined;
}
