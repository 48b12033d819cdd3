import { type Command, Option } from "commander";
import { addClusterOptions, type ClusterOptions, withCluster } from "../cluster.ts";
import { type Scene, sceneOfCluster, sceneOfFiles } from "./scene.ts";

/** Where a mesh is read from. */
export interface SceneOptions extends ClusterOptions {
  readonly file?: readonly string[];
  readonly interception?: string;
}

/** The word that stands for the cluster where a file is expected. */
const live = "live";

/** Adds `-f`, `--interception` and a cluster's options. */
export function addSceneOptions(command: Command): Command {
  command
    .option("-f, --file <path...>", "manifests and folders; `live`, or nothing, is the cluster")
    .addOption(
      new Option("--interception <mode>", "of a proxy whose pod is not there (REDIRECT)").choices([
        "REDIRECT",
        "NONE",
      ]),
    );
  return addClusterOptions(command);
}

/** Reads it and works on it; `namespace` is of what names none. */
export async function withScene<T>(
  options: SceneOptions,
  work: (scene: Scene, namespace: string) => T | Promise<T>,
): Promise<T> {
  const { file } = options;
  if (file !== undefined && !file.includes(live)) {
    const namespace = options.namespace ?? "default";
    return work(sceneOfFiles(file, namespace), namespace);
  }
  return withCluster(options, async ({ client, namespace }) => work(await sceneOfCluster(client), namespace));
}
