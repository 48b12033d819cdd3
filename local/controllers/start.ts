import {
  ControllerRevisionKind,
  DaemonSetKind,
  DeploymentKind,
  EndpointSliceKind,
  HorizontalPodAutoscalerKind,
  JobKind,
  NodeKind,
  PersistentVolumeClaimKind,
  PersistentVolumeKind,
  PodDisruptionBudgetKind,
  PodKind,
  ReplicaSetKind,
  ServiceKind,
  StatefulSetKind,
} from "../../api/core.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { type AutoscalersOptions, startAutoscalers } from "./autoscaler/reconcile.ts";
import type { Controller, ControllerContext } from "./context.ts";
import { startDaemonSets } from "./daemon-set/reconcile.ts";
import { startDeployments } from "./deployment/reconcile.ts";
import { startDisruptionBudgets } from "./disruption-budget/reconcile.ts";
import { startEndpointSlices } from "./endpoint-slice/reconcile.ts";
import { startJobs } from "./job/reconcile.ts";
import { startReplicaSets } from "./replica-set/reconcile.ts";
import { startStatefulSets } from "./stateful-set/reconcile.ts";
import { startVolumeClaims } from "./volume-claim/reconcile.ts";

export interface ControllersOptions extends Omit<ControllerContext, "clock"> {
  readonly clock?: Clock;
  readonly autoscalers: AutoscalersOptions;
}

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
  JobKind,
  HorizontalPodAutoscalerKind,
  PodDisruptionBudgetKind,
];

const starts: Readonly<Record<string, (context: ControllerContext) => Controller>> = {
  "replica-set": startReplicaSets,
  deployment: startDeployments,
  "stateful-set": startStatefulSets,
  "daemon-set": startDaemonSets,
  "endpoint-slice": startEndpointSlices,
  "volume-claim": startVolumeClaims,
  job: startJobs,
  "disruption-budget": startDisruptionBudgets,
};

/**
 * Starts the controllers of Kubernetes' own workloads; resolves when they have seen the first lists.
 *
 * Namespaces, service accounts and garbage collection are the embedded API server's own (`apiserver/lifecycle`).
 */
export async function startControllers({
  clock = systemClock,
  autoscalers,
  ...options
}: ControllersOptions): Promise<Controller> {
  await options.informers.watch(...watched);
  const named = (controller: string) => ({ ...options, clock, logger: options.logger.child({ controller }) });
  const controllers = [
    ...Object.entries(starts).map(([controller, start]) => start(named(controller))),
    startAutoscalers(named("autoscaler"), autoscalers),
  ];
  return {
    async close() {
      await Promise.all(controllers.map((controller) => controller.close()));
    },
  };
}
