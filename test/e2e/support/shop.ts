/** The demo's shop as the tests of whole control planes use it. */
import type { UnreadObject } from "../../../api/resource.ts";
import * as manifests from "../../../cli/demo/manifests.ts";
import { apply, readCanary, until } from "../../../cli/demo/release.ts";
import type { Client } from "../../../kube/contract.ts";

/** Deploys version 1 and its Canary; resolves when the Canary guards it. */
export async function deployShop(client: Client, canary: UnreadObject = manifests.canary()): Promise<void> {
  await apply(client, manifests.namespaceManifest(), ...["shop", "load"].map(manifests.serviceAccount));
  await apply(client, manifests.shop("1"), canary);
  await untilPhase(client, ["Initialized"], 60);
}

/**
 * The shop's Canary by steps of its own, judged by the share of requests that succeed.
 *
 * @param interval of a tick, e.g. `1s`
 */
export function canaryBySteps(interval: string, stepWeights: readonly number[]): UnreadObject {
  return {
    ...manifests.canary(),
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      service: { port: 80, targetPort: 8080, portName: "http" },
      analysis: {
        ...{ interval, threshold: 5, stepWeights },
        metrics: [{ name: "request-success-rate", thresholdRange: { min: 99 }, interval: "10s" }],
      },
    },
  };
}

/** Waits until the shop's Canary is in one of `phases`; answers which. */
export function untilPhase(client: Client, phases: readonly string[], seconds: number): Promise<string> {
  return until(`phase ${phases.join(" or ")}`, seconds, async () => {
    const phase = (await readCanary(client))?.status?.phase ?? "";
    return phases.includes(phase) ? phase : undefined;
  });
}
