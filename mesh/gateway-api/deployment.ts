import type { Gateway } from "../../api/kinds.ts";
import type { KubeObject, OwnerReference } from "../../api/resource.ts";
import { gatewayNameLabel, isServedProtocol } from "../translate/gateway-api/listeners.ts";

/** How proxies of Gateway objects run in this installation. */
export interface GatewayDeploymentConfig {
  readonly image: string;
  readonly imagePullSecrets: readonly string[];
  /** `host:port` of discovery and of the certificate authority over TLS. */
  readonly discoveryAddress: string;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly meshId: string;
  /** `NONE` on one machine's loopback addresses: there the Service is one in name only. */
  readonly interception: "NONE" | "REDIRECT";
  /** Whether proxies may bind ports below 1024. */
  readonly lowPorts: boolean;
}

export const gatewayClassLabel = "gateway.networking.k8s.io/gateway-class-name";
/** Type of the Service, as Istio's users write it. */
const serviceTypeAnnotation = "networking.istio.io/service-type";
const lowestFreePort = 1024;
/** Where a port stands that nobody but root may bind. */
const portShift = 10_000;

/** Name of everything that is deployed for a Gateway. */
export function deploymentName({ metadata, spec }: Pick<Gateway, "metadata" | "spec">): string {
  return `${metadata.name}-${spec.gatewayClassName}`;
}

/** Port of the pod behind a listener's port. */
export function podPort(port: number, { lowPorts }: Pick<GatewayDeploymentConfig, "lowPorts">): number {
  return port < lowestFreePort && !lowPorts ? port + portShift : port;
}

/**
 * What is deployed for a Gateway: a service account, a Deployment of one proxy, and the Service in front of it. They are
 * the Gateway's own and go with it. `spec.infrastructure` adds labels and annotations; who needs more proxies scales the
 * Deployment, whose `replicas` is not ours after it was made.
 */
export function gatewayObjects(gateway: Gateway, config: GatewayDeploymentConfig): KubeObject[] {
  const { name, namespace = "default", uid = "", annotations = {} } = gateway.metadata;
  const { infrastructure, listeners } = gateway.spec;
  const own = deploymentName(gateway);
  const selector = { [gatewayNameLabel]: name };
  const labels = {
    ...infrastructure?.labels,
    ...selector,
    [gatewayClassLabel]: gateway.spec.gatewayClassName,
  };
  const owner: OwnerReference = {
    apiVersion: gateway.apiVersion,
    kind: "Gateway",
    name,
    uid,
    controller: true,
    blockOwnerDeletion: true,
  };
  const metadata = {
    name: own,
    namespace,
    labels,
    ...(infrastructure?.annotations && { annotations: infrastructure.annotations }),
    ownerReferences: [owner],
  };
  const served = listeners.filter(({ protocol }) => isServedProtocol(protocol));
  const ports = new Map(served.map(({ port, protocol }) => [port, protocol.toLowerCase()]));
  const servicePorts = [...ports].map(([port, protocol]) => ({
    name: `${protocol}-${port}`,
    port,
    protocol: "TCP",
    targetPort: podPort(port, config),
  }));
  const onLoopback = config.interception === "NONE";
  const objects = [
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: {
        type: annotations[serviceTypeAnnotation] ?? (onLoopback ? "ClusterIP" : "LoadBalancer"),
        selector,
        ports: servicePorts,
      },
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: {
        selector: { matchLabels: selector },
        template: {
          metadata: {
            labels: { ...labels, app: own, "sidecar.istio.io/inject": "false" },
            ...(infrastructure?.annotations && { annotations: infrastructure.annotations }),
          },
          spec: podSpec(
            own,
            config,
            servicePorts.map(({ targetPort }) => targetPort),
          ),
        },
      },
    },
  ];
  return objects;
}

/** The agent as a gateway's proxy: what the injector gives a sidecar, without an application. */
function podSpec(name: string, config: GatewayDeploymentConfig, ports: readonly number[]): object {
  const health = { httpGet: { path: "/healthz/ready", port: 15021 } };
  const values: Record<string, string> = {
    CA_ADDR: config.discoveryAddress,
    TRUST_DOMAIN: config.trustDomain,
    PROXY_CONFIG: JSON.stringify({ discoveryAddress: config.discoveryAddress }),
    ISTIO_META_CLUSTER_ID: config.clusterId,
    ISTIO_META_MESH_ID: config.meshId,
    ISTIO_META_INTERCEPTION_MODE: config.interception,
    ISTIO_META_WORKLOAD_NAME: name,
  };
  const downward: Record<string, string> = {
    POD_NAME: "metadata.name",
    POD_NAMESPACE: "metadata.namespace",
    INSTANCE_IP: "status.podIP",
    SERVICE_ACCOUNT: "spec.serviceAccountName",
    HOST_IP: "status.hostIP",
    ISTIO_META_NODE_NAME: "spec.nodeName",
  };
  return {
    serviceAccountName: name,
    ...(config.imagePullSecrets.length > 0 && {
      imagePullSecrets: config.imagePullSecrets.map((secret) => ({ name: secret })),
    }),
    containers: [
      {
        name: "istio-proxy",
        image: config.image,
        args: ["agent", "router", "--log-level", "warning"],
        env: [
          ...Object.entries(downward).map(([variable, fieldPath]) => ({
            name: variable,
            valueFrom: { fieldRef: { fieldPath } },
          })),
          ...Object.entries(values).map(([variable, value]) => ({ name: variable, value })),
        ],
        ports: [
          ...ports.map((containerPort) => ({ containerPort, protocol: "TCP" })),
          { name: "http-envoy-prom", containerPort: 15090, protocol: "TCP" },
        ],
        resources: { requests: { cpu: "100m", memory: "128Mi" } },
        startupProbe: { ...health, periodSeconds: 1, timeoutSeconds: 3, failureThreshold: 600 },
        readinessProbe: { ...health, periodSeconds: 15, timeoutSeconds: 3, failureThreshold: 4 },
        securityContext: {
          allowPrivilegeEscalation: false,
          capabilities: { drop: ["ALL"] },
          privileged: false,
          readOnlyRootFilesystem: true,
          runAsGroup: 1337,
          runAsNonRoot: true,
          runAsUser: 1337,
        },
        volumeMounts: [
          { name: "istiod-ca-cert", mountPath: "/var/run/secrets/istio" },
          { name: "istio-token", mountPath: "/var/run/secrets/tokens" },
          { name: "istio-envoy", mountPath: "/etc/istio/proxy" },
          { name: "istio-podinfo", mountPath: "/etc/istio/pod" },
        ],
      },
    ],
    volumes: [
      {
        name: "istio-token",
        projected: {
          sources: [
            { serviceAccountToken: { audience: "istio-ca", expirationSeconds: 43_200, path: "istio-token" } },
          ],
        },
      },
      { name: "istiod-ca-cert", configMap: { name: "istio-ca-root-cert" } },
      { name: "istio-envoy", emptyDir: { medium: "Memory" } },
      {
        name: "istio-podinfo",
        downwardAPI: {
          items: [
            { path: "labels", fieldRef: { fieldPath: "metadata.labels" } },
            { path: "annotations", fieldRef: { fieldPath: "metadata.annotations" } },
          ],
        },
      },
    ],
  };
}
