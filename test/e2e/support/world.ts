/** A whole control plane for a suite, on the Kubernetes that `npm run e2e -- --cluster` names. */
import { startWorld, type World } from "../../../cli/demo/world.ts";
import { startCluster } from "../../cluster/start.ts";

/** `local`: the embedded API. `real`: kube-apiserver, kube-controller-manager and etcd. */
export const cluster: "local" | "real" = process.env.FAIRLEAD_E2E_CLUSTER === "real" ? "real" : "local";

/**
 * Starts a control plane of the suite's own. On a real cluster its rooms are the Helm chart's service accounts: what
 * the chart's roles do not allow, fails.
 */
export async function openWorld(): Promise<World> {
  if (cluster === "local") return startWorld({ yes: true });
  const kubernetes = await startCluster({ controllers: true, accounts: true });
  const { kubeconfig, account } = kubernetes;
  let world: World;
  try {
    world = await startWorld({ yes: true, kubeconfig, ...(account !== undefined && { account }) });
  } catch (error) {
    await kubernetes.stop();
    throw error;
  }
  const stopWorld = world.stop.bind(world);
  return Object.assign(world, {
    async stop(keep?: boolean) {
      await stopWorld(keep);
      await kubernetes.stop();
    },
  });
}
