/** A HorizontalPodAutoscaler of the tests' target, and what it does. */
import { type Deployment, DeploymentKind, type HorizontalPodAutoscaler } from "../../api/core.ts";
import type { World } from "./world.ts";

/** Of `shop`, between 2 and 12 pods. */
export const autoscaler: HorizontalPodAutoscaler = {
  apiVersion: "autoscaling/v2",
  kind: "HorizontalPodAutoscaler",
  metadata: { name: "shop", namespace: "default" },
  spec: {
    scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
    minReplicas: 2,
    maxReplicas: 12,
  },
};

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
