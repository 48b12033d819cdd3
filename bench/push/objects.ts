/** The mesh that is measured: what a user would apply, and nothing that needs a process of its own. */
import { type RunMark, runAnnotation } from "../../api/annotations.ts";
import type { UnreadObject } from "../../api/resource.ts";

export const namespace = "test";
/** The VirtualService whose two weights change. */
export const route = "podinfo";

const meta = (name: string) => ({ name, namespace });

/** A Service without a selector, and the one endpoint behind it. */
function service(name: string, address: string, port: number): UnreadObject[] {
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: meta(name),
      spec: { ports: [{ name: "http", port: 80 }] },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { ...meta(`${name}-1`), labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
      ports: [{ name: "http", port, protocol: "TCP" }],
    },
  ];
}

/**
 * `count` Services with their endpoints, three of which are the route's and its two versions.
 *
 * @param arms where the two versions answer
 */
export function services(count: number, arms: { readonly primary: number; readonly canary: number }) {
  const others = Array.from({ length: count - 3 }, (_, index) =>
    service(`svc-${index}`, `10.1.${index >> 8}.${index & 255}`, 8080),
  );
  return [
    service(route, "127.0.0.1", arms.primary),
    service(`${route}-primary`, "127.0.0.1", arms.primary),
    service(`${route}-canary`, "127.0.0.1", arms.canary),
    ...others,
  ].flat();
}

/** The mark of a live run, by which the weights go to sidecars as two runtime keys. */
export const liveRun = {
  [runAnnotation]: JSON.stringify({
    canary: { namespace, name: route, uid: "push" },
    run: "push",
    revision: "push",
    primaryHost: `${route}-primary.${namespace}.svc.cluster.local`,
    canaryHost: `${route}-canary.${namespace}.svc.cluster.local`,
  } satisfies RunMark),
};

export function virtualService(canaryWeight = 0, annotations: Readonly<Record<string, string>> = {}) {
  const to = (host: string, weight: number) => ({ destination: { host }, weight });
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { ...meta(route), annotations },
    spec: {
      hosts: [route],
      gateways: ["mesh"],
      http: [{ route: [to(`${route}-primary`, 100 - canaryWeight), to(`${route}-canary`, canaryWeight)] }],
    },
  };
}

/** Who may change the route: a token of this account is what the load tool shows the API server. */
export const account = "adsload";

export function mayChangeRoutes(): UnreadObject[] {
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: meta(account) },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: account },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
      subjects: [{ kind: "ServiceAccount", name: account, namespace }],
    },
  ];
}

/** One more client beside the load tool's, with the node that they have (`own`: a sidecar's of fairlead). */
export function loadNode(own: boolean) {
  const [name, address] = ["recorder", "10.99.0.1"];
  return {
    id: `sidecar~${address}~${name}.${namespace}~${namespace}.svc.cluster.local`,
    cluster: `load.${namespace}`,
    metadata: {
      NAMESPACE: namespace,
      NAME: name,
      INSTANCE_IPS: address,
      LABELS: { app: "load" },
      SERVICE_ACCOUNT: "default",
      CLUSTER_ID: "Kubernetes",
      ISTIO_VERSION: "1.30.0",
      ...(own ? { INTERCEPTION_MODE: "NONE", HTTP_PROXY_PORT: "15080" } : {}),
    },
  };
}
