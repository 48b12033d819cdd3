import { scopeAnnotation } from "../../../api/annotations.ts";
import type { Pod } from "../../../api/core.ts";
import type { JsonPatchOperation } from "../../../kube/contract.ts";
import { workloadName } from "../../../mesh/ca/workload-facts.ts";
import { AnnotationError } from "./annotation-error.ts";
import { readSettings } from "./annotations.ts";
import { prepareApplication } from "./app-container.ts";
import type { InjectionConfig } from "./config.ts";
import { wantsSidecar } from "./decide.ts";
import { injectedAnnotations, injectedLabels, isInjected } from "./metadata.ts";
import { type PodSpec, sidecarName, type Volume } from "./pod.ts";
import { type OriginalProbes, redirectProbes } from "./probes.ts";
import { buildSidecar, ownerPath, sidecarVolumes } from "./sidecar.ts";
import { buildInitContainer, initName, proxyUser } from "./traffic.ts";

/** What is answered for one pod. */
export type Injection =
  | { readonly kind: "unchanged" }
  | {
      readonly kind: "patch";
      readonly operations: readonly JsonPatchOperation[];
      readonly warnings: readonly string[];
    }
  | { readonly kind: "refused"; readonly message: string };

/**
 * Adds the sidecar to a pod that is about to be created, or says why not.
 *
 * Pure, and idempotent: a pod that has been through here is left alone. The patch is made of objects, so no text of
 * the user's can turn into structure.
 *
 * @param namespace of the request; a pod in a review may lack it
 * @param namespaceLabels undefined where they are not known
 * @param namespaceAnnotations of which `fairlead.dev/scope` counts, where the pod has none of its own
 */
export function inject(
  pod: Pod,
  namespace: string,
  namespaceLabels: Readonly<Record<string, string>> | undefined,
  config: InjectionConfig,
  namespaceAnnotations: Readonly<Record<string, string>> = {},
): Injection {
  const { metadata, spec } = pod;
  if (!spec || !wantsSidecar(pod, namespace, namespaceLabels, config)) return { kind: "unchanged" };
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  if (isInjected(metadata, containers)) return { kind: "unchanged" };
  const obstacle = findObstacle(spec, config);
  if (obstacle !== undefined) return { kind: "refused", message: obstacle };
  try {
    return addSidecar(pod, spec, namespace, config, namespaceAnnotations[scopeAnnotation]);
  } catch (error) {
    if (error instanceof AnnotationError) return { kind: "refused", message: error.message };
    throw error;
  }
}

function addSidecar(
  { metadata }: Pod,
  spec: PodSpec,
  namespace: string,
  config: InjectionConfig,
  namespaceScope: string | undefined,
): Injection {
  const settings = readSettings(metadata.annotations ?? {}, config, namespaceScope);
  const name = workloadName(metadata);
  const owner = ownerPath(metadata, name);
  const { annotations, appMetrics } = injectedAnnotations(metadata.annotations ?? {}, {
    applications: spec.containers,
    revision: config.revision,
    settings,
  });
  const probes: OriginalProbes = {};
  const grace = spec.terminationGracePeriodSeconds ?? 30;
  const applications = spec.containers.map((container) =>
    prepareApplication(settings.rewriteProbes ? redirectProbes(container, probes, grace) : container, config),
  );
  const sidecar = buildSidecar({
    config,
    settings,
    namespace,
    workload: { name, ...(owner ? { owner } : {}) },
    applications: spec.containers,
    probes,
    ...(appMetrics ? { appMetrics } : {}),
  });
  const { trafficFlags, image, requests, limits } = settings;
  const redirect = trafficFlags ? [buildInitContainer(image, trafficFlags, { requests, limits })] : [];
  const newVolumes = sidecarVolumes.filter(
    (volume) => !spec.volumes?.some((own) => own.name === volume.name),
  );
  const operations: JsonPatchOperation[] = [
    set("/metadata/labels", injectedLabels(metadata.labels ?? {}, name)),
    set("/metadata/annotations", annotations),
    set("/spec/containers", applications),
    // first, so that the user's own init containers have the mesh already
    set("/spec/initContainers", [...redirect, sidecar, ...(spec.initContainers ?? [])]),
    set("/spec/volumes", [...(spec.volumes ?? []), ...newVolumes]),
  ];
  if (config.imagePullSecrets.length > 0) {
    const own = spec.imagePullSecrets ?? [];
    const more = config.imagePullSecrets.filter((secret) => !own.some((entry) => entry.name === secret));
    operations.push(set("/spec/imagePullSecrets", [...own, ...more.map((secret) => ({ name: secret }))]));
  }
  return { kind: "patch", operations, warnings: settings.warnings };
}

/** `add` of a whole member replaces it where it exists. */
function set(path: string, value: unknown): JsonPatchOperation {
  return { op: "add", path, value };
}

/** What stands where the sidecar's own parts must stand. */
function findObstacle(spec: PodSpec, { interception }: InjectionConfig): string | undefined {
  if (interception === "REDIRECT") {
    const containers = [...(spec.initContainers ?? []), ...spec.containers];
    if (containers.some(({ name }) => name === initName))
      return `container \`${initName}\` is the sidecar's name: rename it, or opt out with the label sidecar.istio.io/inject: "false"`;
    const same = containers.find(
      ({ securityContext }) =>
        (securityContext?.runAsUser ?? spec.securityContext?.runAsUser) === proxyUser ||
        (securityContext?.runAsGroup ?? spec.securityContext?.runAsGroup) === proxyUser,
    );
    if (same !== undefined)
      return `container \`${same.name}\` runs as user or group ${proxyUser}, which is the sidecar's: what it sends would pass the mesh by`;
  }
  if ([...(spec.initContainers ?? []), ...spec.containers].some(({ name }) => name === sidecarName)) {
    return `container \`${sidecarName}\` is the sidecar's name: rename it, or opt out with the label sidecar.istio.io/inject: "false"`;
  }
  const foreign = spec.volumes?.find((own) => {
    const ours = sidecarVolumes.find(({ name }) => name === own.name);
    return ours !== undefined && !sameVolume(ours, own);
  });
  return (
    foreign &&
    `volume \`${foreign.name}\` is the sidecar's: rename it, or opt out with the label sidecar.istio.io/inject: "false"`
  );
}

/** Whether a volume that stands already says all that ours says (the API server may have added defaults). */
function sameVolume(ours: Volume, own: Volume): boolean {
  return contains(own, ours) && Object.keys(own).length === Object.keys(ours).length;
}

function contains(whole: unknown, part: unknown): boolean {
  if (Array.isArray(part)) {
    return (
      Array.isArray(whole) &&
      whole.length === part.length &&
      part.every((item, index) => contains(whole[index], item))
    );
  }
  if (typeof part !== "object" || part === null) return whole === part;
  if (typeof whole !== "object" || whole === null) return false;
  const members = new Map(Object.entries(whole));
  return Object.entries(part).every(([key, value]) => contains(members.get(key), value));
}
