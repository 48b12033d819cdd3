import type { Pod } from "../../api/core.ts";
import { localityOfLabels } from "../model/locality.ts";
import { type ContainerPort, factsOf, type Workload } from "../model/workload.ts";

/**
 * A pod's lasting facts: most changes of a pod are of its status, which changes nothing here.
 *
 * @see v1.Pod metadata.labels, spec.serviceAccountName, spec.containers[].ports, status.podIP
 */
export function translateWorkload(pod: Pod, cluster: string): Workload {
  const { name, namespace = "default", labels = {} } = pod.metadata;
  return {
    namespace,
    pod: name,
    ip: pod.status?.podIP,
    labels,
    serviceAccount: pod.spec?.serviceAccountName ?? "default",
    facts: factsOf(labels, { namespace, workload: workloadName(pod), cluster }),
    ports: containerPorts(pod),
    mutualTls: labels["security.istio.io/tlsMode"] === "istio",
    locality: localityOfLabels(labels),
  };
}

/** Name of the Deployment (or other workload) that made the pod: its owner's, without a ReplicaSet's hash. */
function workloadName({ metadata }: Pod): string {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  if (owner === undefined) return metadata.name;
  const hash = metadata.labels?.["pod-template-hash"];
  const suffix = hash === undefined ? "" : `-${hash}`;
  return owner.kind === "ReplicaSet" && suffix !== "" && owner.name.endsWith(suffix)
    ? owner.name.slice(0, -suffix.length)
    : owner.name;
}

function containerPorts({ spec }: Pod): ContainerPort[] {
  // A native sidecar is an init container that keeps running: its ports are the proxy's, not the application's.
  return (spec?.containers ?? [])
    .filter(({ name }) => name !== "istio-proxy")
    .flatMap(({ ports = [] }) => ports)
    .filter(({ protocol }) => protocol === undefined || protocol === "TCP")
    .map(({ name, containerPort }) => ({ name, number: containerPort }));
}
