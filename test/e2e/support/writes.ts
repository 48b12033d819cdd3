/** Every stored version of canaries and routes, whatever is killed meanwhile. */
import { join } from "node:path";
import { CanaryKind, VirtualServiceKind } from "../../../api/kinds.ts";
import type { KubeObject } from "../../../api/resource.ts";
import type { World } from "../../../cli/demo/world.ts";
import { createClient } from "../../../kube/client.ts";
import { createInformers } from "../../../kube/informer.ts";
import { loadConnection } from "../../../kube/kubeconfig.ts";
import { silent } from "../../../lib/log.ts";
import { followJournal } from "./journal.ts";
import { cluster } from "./world.ts";

/**
 * Calls `stored` as soon as a version is there: of the embedded API server, which is killed with the control plane, by
 * its journal; of a real one, which goes on, by a watch.
 */
export async function followWrites(
  world: World,
  stored: (object: KubeObject, at: number) => void,
): Promise<{ stop(): void }> {
  if (cluster === "local") return followJournal(join(world.folder, "state"), stored);
  const client = createClient(await loadConnection({ kubeconfig: world.ready.kubeconfig }));
  const informers = createInformers(client, silent);
  await informers.watch(CanaryKind, VirtualServiceKind);
  for (const kind of [CanaryKind, VirtualServiceKind]) {
    informers.onChange<KubeObject>(kind, (change) => {
      if (change.kind !== "deleted") stored(change.object, Date.now());
    });
  }
  return {
    stop() {
      informers.close();
      void client.close();
    },
  };
}
