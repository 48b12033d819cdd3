/** HorizontalPodAutoscalers of the tests' targets, and what they do. */
import { type Deployment, DeploymentKind, type HorizontalPodAutoscaler } from "../../api/core.ts";
import type { World } from "./world.ts";

type Spec = NonNullable<HorizontalPodAutoscaler["spec"]>;

/** Of a Deployment of this name: at least 2 pods. */
export function autoscalerOf(
  name: string,
  spec: Pick<Spec, "maxReplicas"> & Partial<Spec>,
): HorizontalPodAutoscaler {
  return {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: { name, namespace: "default" },
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name },
      minReplicas: 2,
      ...spec,
    },
  };
}

/** Of `shop`, between 2 and 12 pods. */
export const autoscaler = autoscalerOf("shop", { maxReplicas: 12 });

/** As a Canary names it. */
export const autoscalerRef = {
  apiVersion: "autoscaling/v2",
  kind: "HorizontalPodAutoscaler",
  name: "shop",
} as const;

/** Gives a Deployment another number of pods, as its scaler does. */
export function scaleTo(world: World, name: string, replicas: number): void {
  world.edit(DeploymentKind, name, (object) => ({
    ...object,
    spec: { ...(object.spec as NonNullable<Deployment["spec"]>), replicas },
  }));
}
