import type { ObjectMeta } from "../../../api/resource.ts";
import type { SidecarSettings } from "./annotations.ts";
import { type Container, sidecarName } from "./pod.ts";
import { sidecarVolumes } from "./sidecar.ts";
import { initName } from "./traffic.ts";

export const statusAnnotation = "sidecar.istio.io/status";

const metricsPage = { scrape: "true", port: "15020", path: "/stats/prometheus" } as const;

/** Labels by which meshes, dashboards and Istio's metrics know a workload; the user's own values stay. */
export function injectedLabels(
  labels: Readonly<Record<string, string>>,
  workload: string,
): Record<string, string> {
  return {
    "service.istio.io/canonical-name": labels["app.kubernetes.io/name"] || labels.app || workload,
    "service.istio.io/canonical-revision": labels["app.kubernetes.io/version"] || labels.version || "latest",
    ...labels,
    "security.istio.io/tlsMode": "istio",
  };
}

/**
 * Annotations: what was injected (a second pass finds it), the revision, kubectl's default container, and the merged
 * metrics page instead of the application's own.
 */
export function injectedAnnotations(
  annotations: Readonly<Record<string, string>>,
  {
    applications,
    revision,
    settings,
  }: { applications: readonly Container[]; revision: string; settings: SidecarSettings },
): { readonly annotations: Record<string, string>; readonly appMetrics?: Record<string, string> } {
  const first = applications[0]?.name;
  const result: Record<string, string> = {
    ...(first && {
      "kubectl.kubernetes.io/default-container": first,
      "kubectl.kubernetes.io/default-logs-container": first,
    }),
    ...annotations,
    "istio.io/rev": revision,
    [statusAnnotation]: JSON.stringify({
      initContainers: settings.trafficFlags ? [initName, sidecarName] : [sidecarName],
      containers: null,
      volumes: sidecarVolumes.map(({ name }) => name),
      imagePullSecrets: null,
      revision,
    }),
  };
  if (!settings.mergeMetrics || annotations["prometheus.io/scrape"] === "false")
    return { annotations: result };
  const appMetrics: Record<string, string> = {};
  for (const [key, value] of Object.entries(metricsPage)) {
    const own = annotations[`prometheus.io/${key}`];
    if (own !== undefined) appMetrics[key] = own;
    result[`prometheus.io/${key}`] = value;
  }
  return Object.keys(appMetrics).length > 0 ? { annotations: result, appMetrics } : { annotations: result };
}

/** Whether a pod has been through here. */
export function isInjected({ annotations }: Partial<ObjectMeta>, containers: readonly Container[]): boolean {
  return annotations?.[statusAnnotation] !== undefined && containers.some(({ name }) => name === sidecarName);
}
