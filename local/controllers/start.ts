import {
  DeploymentKind,
  EndpointSliceKind,
  NamespaceKind,
  PodKind,
  ReplicaSetKind,
  ServiceAccountKind,
  ServiceKind,
} from "../../api/core.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import type { Controller, ControllerContext } from "./context.ts";
import { startDeployments } from "./deployment/reconcile.ts";
import { startEndpointSlices } from "./endpoint-slice/reconcile.ts";
import { startGarbageCollector } from "./garbage/reconcile.ts";
import { startNamespaces } from "./namespace/reconcile.ts";
import { startReplicaSets } from "./replica-set/reconcile.ts";
import { startServiceAccounts } from "./service-account.ts";

export type ControllersOptions = Omit<ControllerContext, "clock"> & { readonly clock?: Clock };

/**
 * Starts Kubernetes' own controllers, as far as one machine needs them: Deployment, ReplicaSet, EndpointSlice,
 * Namespace, ServiceAccount and garbage collection. Resolves when all have seen the first lists.
 */
export async function startControllers({
  clock = systemClock,
  ...options
}: ControllersOptions): Promise<Controller> {
  const { informers } = options;
  await informers.watch(
    DeploymentKind,
    ReplicaSetKind,
    PodKind,
    ServiceKind,
    EndpointSliceKind,
    NamespaceKind,
    ServiceAccountKind,
  );
  const starts: [string, (context: ControllerContext) => Controller | Promise<Controller>][] = [
    ["deployment", startDeployments],
    ["replica-set", startReplicaSets],
    ["endpoint-slice", startEndpointSlices],
    ["namespace", startNamespaces],
    ["service-account", startServiceAccounts],
    ["garbage", startGarbageCollector],
  ];
  const controllers: Controller[] = [];
  for (const [controller, start] of starts) {
    controllers.push(await start({ ...options, clock, logger: options.logger.child({ controller }) }));
  }
  return {
    async close() {
      await Promise.all(controllers.map((controller) => controller.close()));
    },
  };
}
