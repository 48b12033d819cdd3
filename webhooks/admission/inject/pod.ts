import type { Pod } from "../../../api/core.ts";

export type PodSpec = NonNullable<Pod["spec"]>;
export type Container = PodSpec["containers"][number];
export type Volume = NonNullable<PodSpec["volumes"]>[number];
export type Probe = NonNullable<Container["livenessProbe"]>;
export type EnvironmentVariable = NonNullable<Container["env"]>[number];

/** Istio's name of the sidecar, by which everybody knows it. */
export const sidecarName = "istio-proxy";

/** Kubernetes expands `$(NAME)` in an environment value; what came from a user must stay as it is. */
export function literal(text: string): string {
  return text.replaceAll("$(", () => "$$(");
}
