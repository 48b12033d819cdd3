import type { Locality } from "./locality.ts";

/** Facts of a workload as Istio's labels name them. */
export interface WorkloadFacts {
  readonly workload?: string;
  readonly namespace?: string;
  readonly app?: string;
  readonly version?: string;
  readonly canonicalName?: string;
  readonly canonicalRevision?: string;
  /** Id of the Kubernetes cluster. */
  readonly cluster?: string;
}

/** One pod, as far as the mesh cares: the same object while none of this changes. */
export interface Workload {
  readonly namespace: string;
  /** Name of the pod. */
  readonly pod: string;
  readonly ip: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly facts: WorkloadFacts;
  /** Ports that its containers declare; by name where they have one. */
  readonly ports: readonly ContainerPort[];
  /** Whether it has a sidecar that speaks mutual TLS (label `security.istio.io/tlsMode: istio`). */
  readonly mutualTls: boolean;
  readonly locality?: Locality | undefined;
}

export interface ContainerPort {
  readonly name: string | undefined;
  readonly number: number;
}

/**
 * Facts as Istio derives them from a pod's labels and the name of its workload.
 *
 * app = app.kubernetes.io/name, else app; version = app.kubernetes.io/version, else version; the canonical names are
 * service.istio.io/canonical-{name,revision}, else those, else the workload's name and `latest`.
 */
export function factsOf(
  labels: Readonly<Record<string, string>>,
  {
    namespace,
    workload,
    cluster,
  }: { readonly namespace: string; readonly workload: string; readonly cluster: string },
): WorkloadFacts {
  const app = labels["app.kubernetes.io/name"] ?? labels.app;
  const version = labels["app.kubernetes.io/version"] ?? labels.version;
  return {
    workload,
    namespace,
    cluster,
    ...(app !== undefined && { app }),
    ...(version !== undefined && { version }),
    canonicalName: labels["service.istio.io/canonical-name"] ?? app ?? workload,
    canonicalRevision: labels["service.istio.io/canonical-revision"] ?? version ?? "latest",
  };
}

/** Whether `labels` carry all of `selector`; an empty selector selects nothing, as in a Service. */
export function selects(
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): boolean {
  const wanted = Object.entries(selector);
  return wanted.length > 0 && wanted.every(([name, value]) => labels[name] === value);
}
