import { recordLabel } from "../api/annotations.ts";
import { createClient } from "../kube/client.ts";
import type { Client, Connection, Informers, Recorder } from "../kube/contract.ts";
import { createRecorder } from "../kube/events.ts";
import { createInformers } from "../kube/informer.ts";
import { loadConnection } from "../kube/kubeconfig.ts";
import { defaultTiming } from "../kube/reflector.ts";
import { systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";

/** What the rooms of a control plane need of an API server. */
export interface OpenCluster {
  readonly client: Client;
  readonly informers: Informers;
  readonly recorder: Recorder;
  close(): Promise<void>;
}

/** Opens the cluster of a kubeconfig, or the one whose pod this process runs in. */
export async function openCluster(kubeconfig: string | undefined, logger: Logger): Promise<OpenCluster> {
  return openConnection(await loadConnection({ kubeconfig }), logger);
}

/** A client on a connection, and what is built on it. */
export function openConnection(connection: Connection, logger: Logger): OpenCluster {
  const client = createClient(connection);
  const recorder = createRecorder(client, logger);
  // Records are large, and nobody but `fairlead analysis` reads them.
  const informers = createInformers(client, logger, systemClock, defaultTiming, {
    ConfigMap: `!${recordLabel}`,
  });
  return {
    client,
    informers,
    recorder,
    async close() {
      informers.close();
      recorder.close();
      await client.close();
    },
  };
}
