import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { ManifestObject } from "../../api/manifest.ts";
import { addClusterOptions, type Cluster, type ClusterOptions, withCluster } from "../cluster.ts";
import { readFiles } from "../manifest-files.ts";
import type { Placed } from "../manifest-kinds.ts";

interface ApplyOptions extends ClusterOptions {
  readonly filename: readonly string[];
  readonly dryRun?: boolean;
}

/** How long the kind of a CRD that this very call made may take to be served, milliseconds. */
const newKindPatience = 10_000;

/** Adds `fairlead apply`. */
export function addApply(program: Command): void {
  const command = program
    .command("apply")
    .description("create or change the objects of manifest files (server-side apply)")
    .requiredOption("-f, --filename <path...>", "files, folders, or `-` for stdin")
    .option("--dry-run", "let the server check, change nothing");
  addClusterOptions(command)
    .addHelpText(
      "after",
      "\nExamples:\n  fairlead apply -f canary.yaml -n demo\n  cat *.yaml | fairlead apply -f -",
    )
    .action((options: ApplyOptions) => {
      const manifests = readFiles(options.filename);
      return withCluster(options, (cluster) => applyAll(cluster, manifests, options.dryRun === true));
    });
}

/** Applies in order; what fails is told and the rest goes on. */
async function applyAll(
  cluster: Cluster,
  manifests: readonly ManifestObject[],
  dryRun: boolean,
): Promise<void> {
  const { createPlacer } = await import("../manifest-kinds.ts");
  const place = createPlacer(cluster);
  const makesKinds = manifests.some(({ object }) => object.kind === "CustomResourceDefinition");
  for (const manifest of manifests) {
    const { object, file, line } = manifest;
    try {
      const placed = await retry(() => place(manifest), makesKinds ? newKindPatience : 0);
      process.stdout.write(`${placed.words} ${await applyOne(cluster, placed, dryRun)}\n`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const where = why.startsWith(`${file}:`)
        ? ""
        : `${file}:${line}: ${object.kind} ${object.metadata.name}: `;
      process.stderr.write(`error: ${where}${why}\n`);
      process.exitCode = 1;
    }
  }
}

async function applyOne({ client }: Cluster, { kind, object }: Placed, dryRun: boolean): Promise<string> {
  const { namespace, name } = object.metadata;
  const before = await client.get(kind, namespace, name);
  if (dryRun) {
    const { resourcePath, withQuery } = await import("../../kube/path.ts");
    const path = withQuery(resourcePath(kind, namespace, name), {
      fieldManager: "fairlead-apply",
      force: true,
      dryRun: "All",
    });
    await client.request("PATCH", path, object, { contentType: "application/apply-patch+yaml" });
    return before === undefined ? "would be created" : "would be configured";
  }
  const after = await client.patch(kind, namespace, name, { kind: "apply", body: object, force: true });
  if (before === undefined) return "created";
  return before.metadata.resourceVersion === after.metadata.resourceVersion ? "unchanged" : "configured";
}

async function retry<T>(action: () => Promise<T>, patience: number): Promise<T> {
  const deadline = performance.now() + patience;
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (performance.now() >= deadline) throw error;
      await sleep(200);
    }
  }
}
