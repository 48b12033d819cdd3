import type { Command } from "commander";
import { addClusterOptions, type Cluster, type ClusterOptions, withCluster } from "../cluster.ts";
import { UsageError } from "../failure.ts";
import { readFiles } from "../manifest-files.ts";

interface DeleteOptions extends ClusterOptions {
  readonly filename?: readonly string[];
}

/** Adds `fairlead delete`. */
export function addDelete(program: Command): void {
  const command = program
    .command("delete")
    .description("delete objects: those of manifest files, or one by name")
    .argument("[kind]", "e.g. `canary`")
    .argument("[name]")
    .option("-f, --filename <path...>", "files, folders, or `-` for stdin");
  addClusterOptions(command)
    .addHelpText(
      "after",
      "\nExamples:\n  fairlead delete -f canary.yaml -n demo\n  fairlead delete canary shop -n demo",
    )
    .action((kind: string | undefined, name: string | undefined, options: DeleteOptions) => {
      const { filename } = options;
      if (filename !== undefined && kind === undefined)
        return withCluster(options, (cluster) => deleteFiles(cluster, filename));
      if (filename === undefined && kind !== undefined && name !== undefined) {
        return withCluster(options, (cluster) => deleteOne(cluster, kind, name));
      }
      throw new UsageError("say either -f FILE or KIND NAME");
    });
}

/** Backwards, so that what others need goes last. */
async function deleteFiles(cluster: Cluster, paths: readonly string[]): Promise<void> {
  const manifests = readFiles(paths);
  const { createPlacer } = await import("../manifest-kinds.ts");
  const place = createPlacer(cluster);
  for (const manifest of manifests.toReversed()) {
    try {
      const { kind, object, words } = await place(manifest);
      await cluster.client.delete(kind, object.metadata.namespace, object.metadata.name);
      process.stdout.write(`${words} deleted\n`);
    } catch (error) {
      process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    }
  }
}

async function deleteOne({ client, namespace }: Cluster, word: string, name: string): Promise<void> {
  const { findKind } = await import("../../kube/discovery.ts");
  const kind = await findKind(client, word);
  if (kind === undefined) throw new UsageError(`the API server knows no kind \`${word}\``);
  const where = kind.namespaced ? namespace : undefined;
  if ((await client.get(kind, where, name)) === undefined)
    throw new Error(`${kind.kind.toLowerCase()} \`${name}\` does not exist`);
  await client.delete(kind, where, name);
  process.stdout.write(`${kind.kind.toLowerCase()}/${name} deleted\n`);
}
