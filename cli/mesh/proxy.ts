import { type Pod, PodKind } from "../../api/core.ts";
import type { Snapshot } from "../../kube/contract.ts";
import { type Proxy, readNode } from "../../mesh/model/proxy.ts";
import { findTarget, readTargetName, type Target } from "../authz/workload.ts";
import { UsageError } from "../failure.ts";

type Metadata = Record<string, string | Record<string, string>>;

/** Address of a workload that has no pod yet: of documentation's own range (RFC 5737). */
const unknownAddress = "192.0.2.10";
const metadataPrefix = "ISTIO_META_";

/**
 * The proxy of a workload: of its first pod, else as the injector would make one.
 *
 * @param text `[NAMESPACE/][KIND/]NAME`
 * @param interception what counts where there is no pod; Istio's default is REDIRECT
 * @throws UsageError that says what there is instead
 */
export function proxyOfWorkload(
  snapshot: Snapshot,
  text: string,
  namespace: string,
  interception?: string,
): Proxy {
  const target = findTarget(snapshot, readTargetName(text, namespace));
  const pod = snapshot
    .list(PodKind, target.namespace)
    .find(({ status }) => target.ip !== undefined && status?.podIP === target.ip);
  return proxyFrom(nodeId(target, pod), {
    ...metadataOf(target),
    ...(pod && metadataOfPod(pod)),
    ...(interception !== undefined && { INTERCEPTION_MODE: interception }),
  });
}

/** The proxy of a node id; what else a node says of itself is taken from its pod. @throws UsageError for another form */
export function proxyOfNode(snapshot: Snapshot, id: string, interception?: string): Proxy {
  const bare = readNode({ id, metadata: {} });
  if ("refused" in bare) throw new UsageError(bare.refused);
  const pod = snapshot.get(PodKind, bare.namespace, bare.pod);
  return proxyFrom(id, {
    ...(pod && { ...metadataOfPod(pod), LABELS: { ...pod.metadata.labels } }),
    ...(interception !== undefined && { INTERCEPTION_MODE: interception }),
  });
}

function proxyFrom(id: string, metadata: Metadata): Proxy {
  const proxy = readNode({ id, metadata });
  if ("refused" in proxy) throw new UsageError(proxy.refused);
  return proxy;
}

function nodeId({ name, namespace, ip }: Target, pod: Pod | undefined): string {
  const kind = pod !== undefined && isGateway(pod) ? "router" : "sidecar";
  const instance = `${pod?.metadata.name ?? name}.${namespace}`;
  return `${kind}~${ip ?? unknownAddress}~${instance}~${namespace}.svc.cluster.local`;
}

function metadataOf({ name, labels, serviceAccount, ports }: Target): Metadata {
  return {
    WORKLOAD_NAME: name,
    LABELS: { ...labels },
    SERVICE_ACCOUNT: serviceAccount,
    POD_PORTS: JSON.stringify(ports.map((containerPort) => ({ containerPort, protocol: "TCP" }))),
  };
}

/** What the injector told the pod's proxy, by the variables of its container. */
function metadataOfPod(pod: Pod): Metadata {
  const known: Metadata = {};
  for (const { name, value } of proxyContainer(pod)?.env ?? []) {
    if (value === undefined) continue;
    if (name.startsWith(metadataPrefix)) known[name.slice(metadataPrefix.length)] = value;
    else if (name === "FAIRLEAD_APP_ADDRESS") known[name] = value;
  }
  return known;
}

function isGateway(pod: Pod): boolean {
  return proxyContainer(pod)?.args?.includes("router") === true;
}

function proxyContainer({ spec }: Pod) {
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  return containers.find(({ name }) => name === "istio-proxy");
}
