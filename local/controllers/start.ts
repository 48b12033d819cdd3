import {
  ControllerRevisionKind,
  DaemonSetKind,
  DeploymentKind,
  EndpointSliceKind,
  NodeKind,
  PersistentVolumeClaimKind,
  PersistentVolumeKind,
  PodKind,
  ReplicaSetKind,
  ServiceKind,
  StatefulSetKind,
} from "../../api/core.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import type { Controller, ControllerContext } from "./context.ts";
import { startDaemonSets } from "./daemon-set/reconcile.ts";
import { startDeployments } from "./deployment/reconcile.ts";
import { startEndpointSlices } from "./endpoint-slice/reconcile.ts";
import { startReplicaSets } from "./replica-set/reconcile.ts";
import { startStatefulSets } from "./stateful-set/reconcile.ts";
import { startVolumeClaims } from "./volume-claim/reconcile.ts";

export type ControllersOptions = Omit<ControllerContext, "clock"> & { readonly clock?: Clock };

/** Every kind that a controller here reads. */
const watched = [
  DeploymentKind,
  ReplicaSetKind,
  StatefulSetKind,
  DaemonSetKind,
  ControllerRevisionKind,
  PodKind,
  ServiceKind,
  EndpointSliceKind,
  PersistentVolumeClaimKind,
  PersistentVolumeKind,
  NodeKind,
];

const starts: Readonly<Record<string, (context: ControllerContext) => Controller>> = {
  "replica-set": startReplicaSets,
  deployment: startDeployments,
  "stateful-set": startStatefulSets,
  "daemon-set": startDaemonSets,
  "endpoint-slice": startEndpointSlices,
  "volume-claim": startVolumeClaims,
};

/**
 * Starts the controllers of Kubernetes' own workloads; resolves when they have seen the first lists.
 *
 * Namespaces, service accounts and garbage collection are the embedded API server's own (`apiserver/lifecycle`).
 */
export async function startControllers({
  clock = systemClock,
  ...options
}: ControllersOptions): Promise<Controller> {
  await options.informers.watch(...watched);
  const controllers = Object.entries(starts).map(([controller, start]) =>
    start({ ...options, clock, logger: options.logger.child({ controller }) }),
  );
  return {
    async close() {
      await Promise.all(controllers.map((controller) => controller.close()));
    },
  };
}
