import { DeploymentKind, EndpointSliceKind, PodKind, ReplicaSetKind, ServiceKind } from "../../api/core.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import type { Controller, ControllerContext } from "./context.ts";
import { startDeployments } from "./deployment/reconcile.ts";
import { startEndpointSlices } from "./endpoint-slice/reconcile.ts";
import { startReplicaSets } from "./replica-set/reconcile.ts";

export type ControllersOptions = Omit<ControllerContext, "clock"> & { readonly clock?: Clock };

/**
 * Starts the controllers of Deployment, ReplicaSet and EndpointSlice; resolves when they have seen the first lists.
 *
 * Namespaces, service accounts and garbage collection are the embedded API server's own (`apiserver/lifecycle`).
 */
export async function startControllers({
  clock = systemClock,
  ...options
}: ControllersOptions): Promise<Controller> {
  await options.informers.watch(DeploymentKind, ReplicaSetKind, PodKind, ServiceKind, EndpointSliceKind);
  const named = (controller: string): ControllerContext => ({
    ...options,
    clock,
    logger: options.logger.child({ controller }),
  });
  const controllers = [
    startReplicaSets(named("replica-set")),
    startDeployments(named("deployment")),
    startEndpointSlices(named("endpoint-slice")),
  ];
  return {
    async close() {
      await Promise.all(controllers.map((controller) => controller.close()));
    },
  };
}
