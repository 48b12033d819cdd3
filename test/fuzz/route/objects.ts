/** Kubernetes' objects of a drawn configuration. */
import type { KubeObject } from "../../../api/resource.ts";
import { type ServiceWord, services } from "./alphabet.ts";
import type { Config } from "./generate.ts";

const created = "2025-01-01T00:00:00Z";

/** No certificates are served here, and clusters would wait for them. */
const plaintext = {
  apiVersion: "security.istio.io/v1",
  kind: "PeerAuthentication",
  metadata: { name: "default", namespace: "istio-system", creationTimestamp: created },
  spec: { mtls: { mode: "DISABLE" } },
};

/** All that the mesh is told. @param port where every endpoint answers */
export function objectsOf({ tables, subsets, asleep }: Config, port: number): readonly KubeObject[] {
  return [
    plaintext,
    ...services.flatMap((service, index) => [
      kubeService(service, index),
      ...(asleep.includes(service.name) ? [] : behind(service, index, port)),
      ...(subsets.includes(service.name) ? [rule(service)] : []),
    ]),
    ...tables.map(({ name, namespace, createdAt, spec }) => ({
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: { name, namespace, creationTimestamp: createdAt },
      spec,
    })),
  ];
}

/** Beginning of all virtual addresses. */
export const virtualRange = "10.96.0.";

/** Virtual address of a service, by its place. */
function virtualAddress(index: number): string {
  return `${virtualRange}${index + 10}`;
}

function kubeService({ name, namespace, ports }: ServiceWord, index: number): KubeObject & { spec: object } {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace, creationTimestamp: created },
    spec: {
      clusterIP: virtualAddress(index),
      clusterIPs: [virtualAddress(index)],
      selector: { app: name },
      ports: ports.map(({ number, name: portName }) => ({
        name: portName,
        port: number,
        targetPort: number,
      })),
    },
  };
}

function behind(
  { name, namespace, ports, versions }: ServiceWord,
  index: number,
  port: number,
): KubeObject[] {
  const address = (at: number) => `127.77.${index}.${at + 1}`;
  const pods = versions.map((version, at) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${name}-${version}`,
      namespace,
      labels: { app: name, version },
      creationTimestamp: created,
    },
    spec: { serviceAccountName: name, containers: [{ name: "app" }] },
    status: { podIP: address(at) },
  }));
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${name}-1`, namespace, labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    ports: ports.map((each) => ({ name: each.name, port, protocol: "TCP" })),
    endpoints: versions.map((version, at) => ({
      addresses: [address(at)],
      conditions: { ready: true },
      targetRef: { kind: "Pod", name: `${name}-${version}`, namespace },
    })),
  };
  return [...pods, slice];
}

function rule({ name, namespace, versions }: ServiceWord): KubeObject & { spec: object } {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "DestinationRule",
    metadata: { name, namespace, creationTimestamp: created },
    spec: {
      host: name,
      subsets: [...versions.map((version) => ({ name: version, labels: { version } })), { name: "all" }],
    },
  };
}
