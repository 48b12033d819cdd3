/** Real sidecars on the control plane that is measured: pods that do nothing, and the Envoys that the injector gives them. */
import { DeploymentKind, type Pod, PodKind } from "../../api/core.ts";
import type { UnreadObject } from "../../api/resource.ts";
import { until } from "../../cli/demo/release.ts";
import type { Client } from "../../kube/contract.ts";
import { createAsker } from "../asker.ts";
import { flipAll } from "./flip.ts";
import { namespace, route } from "./objects.ts";
import { changeWeights } from "./world.ts";

const label = { app: "caller" };
/** Where a sidecar of the loopback data path takes what its pod sends. */
const egressPort = 15080;

function callers(replicas: number): UnreadObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "caller", namespace },
    spec: {
      replicas,
      selector: { matchLabels: label },
      template: {
        metadata: { labels: { ...label, "sidecar.istio.io/inject": "true" } },
        spec: { containers: [{ name: "idle", image: "process://idle:1", command: ["sleep", "100000"] }] },
      },
    },
  };
}

/** Starts `count` sidecars, waits until all of them serve the route, and flips the weight `rounds` times: milliseconds each. */
export async function flipSidecars(client: Client, count: number, rounds: number): Promise<number[]> {
  await client.patch(DeploymentKind, namespace, "caller", {
    kind: "apply",
    body: callers(count),
    force: true,
  });
  const pods = await until(`${count} sidecars`, 240, async () => {
    const { items } = await client.list(PodKind, { namespace, labelSelector: "app=caller" });
    return items.filter(isReady).length === count ? items : undefined;
  });
  const askers = pods.map(({ status }) =>
    createAsker({ host: status?.podIP ?? "", port: egressPort }, route),
  );
  const change = (weight: number) => changeWeights(client, weight);
  try {
    await change(0);
    for (const { ask } of askers)
      await until("an answer of the primary", 60, async () =>
        (await ask().catch(() => undefined)) === "primary" ? true : undefined,
      );
    return await flipAll(askers, { rounds, change });
  } finally {
    for (const asker of askers) asker.close();
  }
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") === true;
}
