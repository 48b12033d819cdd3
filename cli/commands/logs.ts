import type { Command } from "commander";
import { type Pod, PodKind } from "../../api/core.ts";
import { resourcePath, withQuery } from "../../kube/path.ts";
import { addClusterOptions, type Cluster, type ClusterOptions, withCluster } from "../cluster.ts";
import { UsageError } from "../failure.ts";

interface LogsOptions extends ClusterOptions {
  readonly container?: string;
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly tail?: string;
  readonly timestamps?: boolean;
}

/** Adds `fairlead logs`. */
export function addLogs(program: Command): void {
  const command = program
    .command("logs")
    .description("print a pod's log")
    .argument("<pod>")
    .option("-c, --container <name>", "default: the pod's first, not its sidecar")
    .option("-f, --follow", "go on until it ends or Ctrl-C")
    .option("-p, --previous", "of the container before its last restart")
    .option("--tail <lines>", "the last lines only")
    .option("--timestamps", "with the time of each line");
  addClusterOptions(command)
    .addHelpText("after", "\nExample:\n  fairlead logs shop-primary-6d5f8-x2k4q -n demo -c istio-proxy -f")
    .action((pod: string, options: LogsOptions) =>
      withCluster(options, (cluster) => printLog(cluster, pod, options)),
    );
}

async function printLog({ client, namespace }: Cluster, name: string, options: LogsOptions): Promise<void> {
  const pod = await client.get(PodKind, namespace, name);
  if (pod === undefined) throw new Error(`pod \`${name}\` does not exist in namespace \`${namespace}\``);
  const path = withQuery(`${resourcePath(PodKind, namespace, name)}/log`, {
    container: containerOf(pod, options.container),
    follow: options.follow,
    previous: options.previous,
    tailLines: options.tail,
    timestamps: options.timestamps,
  });
  if (options.follow) {
    for await (const chunk of client.stream(path)) process.stdout.write(chunk);
  } else process.stdout.write(await client.text(path));
}

function containerOf({ metadata, spec }: Pod, asked: string | undefined): string | undefined {
  const names = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].map(({ name }) => name);
  if (asked !== undefined && !names.includes(asked)) {
    throw new UsageError(
      `pod \`${metadata.name}\` has no container \`${asked}\`: it has ${names.join(", ")}`,
    );
  }
  return (
    asked ??
    metadata.annotations?.["kubectl.kubernetes.io/default-container"] ??
    names.find((name) => name !== "istio-proxy")
  );
}
