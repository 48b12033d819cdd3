import { createClient } from "../kube/client.ts";
import { createRecorder } from "../kube/events.ts";
import { createInformers } from "../kube/informer.ts";
import { silent } from "../lib/log.ts";
import { serveKubernetes } from "./apiserver/serve.ts";
import { openDataDir, readSubnet } from "./data-dir.ts";
import { removeLocalRange } from "./node/network/local-range.ts";
import { leftPodNetwork } from "./node/network/open.ts";
import type { PodNetwork } from "./node/network/pod-network.ts";
import { startNode } from "./node/node.ts";
import { PodFolders } from "./node/pod-folder.ts";

/**
 * Stops the pods that a control plane which is gone has left in a data folder: gracefully, by their own manifests,
 * and by force what is then left. Pods of an API server that was not ours (`attachKubernetes`) are ended by force.
 *
 * @returns how many pods still ran
 * @throws DataDirError where a process uses the folder
 */
export async function stopLeftPods(root: string): Promise<number> {
  const dataDir = openDataDir(root);
  const subnet = readSubnet(dataDir) ?? 0;
  const network = leftPodNetwork(dataDir.root, subnet);
  const folders = new PodFolders(dataDir.root, network.range);
  const all = folders.all();
  const left = all.filter(({ uid }) => folders.runs(uid)).length;
  try {
    if (left > 0) await stopGracefully(dataDir.root, dataDir.state, network);
  } catch {
    // Without their objects (a damaged or newer store) there is only force.
  } finally {
    for (const { uid } of all) folders.remove(uid);
    await network.destroy();
    await removeLocalRange(`10.${subnet}`);
    dataDir.release();
  }
  return left;
}

/** Reads the pods' manifests through an API server of its own, on any free port. */
async function stopGracefully(root: string, state: string, network: PodNetwork): Promise<void> {
  const server = await serveKubernetes({ dataDir: state, host: "127.0.0.1", port: 0, logger: silent });
  const client = createClient(server.connection());
  const informers = createInformers(client, silent);
  const recorder = createRecorder(client, silent);
  try {
    const node = await startNode({
      client,
      informers,
      recorder,
      logger: silent,
      dataDir: root,
      network,
      images: new Map(),
      adoptOnly: true,
    });
    await node.stopAll();
  } finally {
    informers.close();
    recorder.close();
    await client.close();
    await server.close();
  }
}
