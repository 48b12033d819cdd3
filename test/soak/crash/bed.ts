import type { Deployment } from "../../../api/core.ts";
import { startTestCluster, type TestCluster } from "../../../controller/testing/cluster.ts";
import type { Informers } from "../../../kube/contract.ts";
import { type HookReceiver, startHookReceiver } from "./hook-receiver.ts";
import { kinds } from "./kinds.ts";

/** One API server for all rollouts of a sweep, each in a namespace of its own; and who receives their webhooks. */
export interface Bed {
  readonly cluster: TestCluster;
  /** Watches all that rollouts change. */
  readonly informers: Informers;
  readonly hooks: HookReceiver;
  /** Whether pods get ready, by namespace; all do where nothing is set. */
  readonly readiness: Map<string, (deployment: Deployment) => boolean>;
  close(): Promise<void>;
}

export async function openBed(): Promise<Bed> {
  const cluster = await startTestCluster();
  const hooks = await startHookReceiver();
  const informers = cluster.informers();
  await informers.watch(...kinds);
  const readiness: Bed["readiness"] = new Map();
  cluster.readiness = (deployment) =>
    readiness.get(deployment.metadata.namespace ?? "")?.(deployment) ?? true;
  return {
    cluster,
    informers,
    hooks,
    readiness,
    async close() {
      await hooks.close();
      await cluster.close();
    },
  };
}
