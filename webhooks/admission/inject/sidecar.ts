import type { ObjectMeta } from "../../../api/resource.ts";
import type { SidecarSettings } from "./annotations.ts";
import type { InjectionConfig } from "./config.ts";
import { type Container, type EnvironmentVariable, literal, sidecarName, type Volume } from "./pod.ts";
import { type OriginalProbes, probersVariable } from "./probes.ts";

export interface SidecarInput {
  readonly config: InjectionConfig;
  readonly settings: SidecarSettings;
  readonly namespace: string;
  readonly workload: { readonly name: string; readonly owner?: string };
  readonly applications: readonly Container[];
  readonly probes: OriginalProbes;
  /** The application's own metrics page, as its `prometheus.io` annotations say. */
  readonly appMetrics?: Readonly<Record<string, string>>;
}

/**
 * The sidecar: a native one, which is ready before the first application container starts and ends after the last.
 *
 * Its identity, privileges, volumes and variables are made of constants and of names that Kubernetes checked; a pod's
 * annotations reach it only through {@link SidecarSettings}.
 */
export function buildSidecar(input: SidecarInput): Container {
  const { settings } = input;
  const health = { httpGet: { path: "/healthz/ready", port: 15021 } };
  return {
    name: sidecarName,
    image: settings.image,
    args: ["agent", "--log-level", settings.logLevel],
    env: environment(input),
    ports: [{ name: "http-envoy-prom", containerPort: 15090, protocol: "TCP" }],
    resources: { requests: settings.requests, limits: settings.limits },
    restartPolicy: "Always",
    startupProbe: { ...health, periodSeconds: 1, timeoutSeconds: 3, failureThreshold: 600 },
    readinessProbe: { ...health, ...settings.readiness, timeoutSeconds: 3 },
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
  };
}

function environment({
  config,
  settings,
  workload,
  applications,
  probes,
  appMetrics,
  namespace,
}: SidecarInput): EnvironmentVariable[] {
  const ports = applications.flatMap(({ ports: own = [] }) =>
    own.map(({ name, containerPort, protocol }) => ({
      ...(name && { name }),
      containerPort,
      ...(protocol && { protocol }),
    })),
  );
  const proxyConfig = {
    discoveryAddress: config.discoveryAddress,
    ...(settings.concurrency === undefined ? {} : { concurrency: settings.concurrency }),
    ...(settings.terminationDrainDuration
      ? { terminationDrainDuration: settings.terminationDrainDuration }
      : {}),
  };
  const values: Record<string, string> = {
    CA_ADDR: config.discoveryAddress,
    TRUST_DOMAIN: config.trustDomain,
    PROXY_CONFIG: JSON.stringify(proxyConfig),
    ISTIO_META_POD_PORTS: JSON.stringify(ports),
    ISTIO_META_APP_CONTAINERS: applications.map(({ name }) => name).join(","),
    ISTIO_META_CLUSTER_ID: config.clusterId,
    ISTIO_META_MESH_ID: config.meshId,
    ISTIO_META_INTERCEPTION_MODE: config.interception,
    ...(config.socketMark === undefined ? {} : { FAIRLEAD_SOCKET_MARK: String(config.socketMark) }),
    ...(config.interception === "NONE" ? { ISTIO_META_HTTP_PROXY_PORT: "15080" } : {}),
    ISTIO_META_WORKLOAD_NAME: workload.name,
    ...(settings.scope === "all" ? {} : { ISTIO_META_FAIRLEAD_SCOPE: settings.scope }),
  };
  if (workload.owner)
    values.ISTIO_META_OWNER = `kubernetes://apis/${workload.owner.replace("NAMESPACE", namespace)}`;
  if (Object.keys(probes).length > 0) values.ISTIO_KUBE_APP_PROBERS = probersVariable(probes);
  if (appMetrics) values.ISTIO_PROMETHEUS_ANNOTATIONS = literal(JSON.stringify(appMetrics));
  const downward: [name: string, fieldPath: string][] = [
    ["POD_NAME", "metadata.name"],
    ["POD_NAMESPACE", "metadata.namespace"],
    ["INSTANCE_IP", "status.podIP"],
    ["SERVICE_ACCOUNT", "spec.serviceAccountName"],
    ["HOST_IP", "status.hostIP"],
    ["ISTIO_META_NODE_NAME", "spec.nodeName"],
  ];
  return [
    ...downward.map(([name, fieldPath]) => ({ name, valueFrom: { fieldRef: { fieldPath } } })),
    ...Object.entries(values).map(([name, value]) => ({ name, value })),
  ];
}

/** The sidecar's volumes, by Istio's names. */
export const sidecarVolumes: readonly Volume[] = [
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
];

/** Who made the pod, as `ISTIO_META_OWNER` spells it; `NAMESPACE` stands for its namespace. */
export function ownerPath({ ownerReferences }: Partial<ObjectMeta>, workload: string): string | undefined {
  const owner = ownerReferences?.find(({ controller }) => controller) ?? ownerReferences?.[0];
  if (!owner) return undefined;
  const isDeployment = owner.kind === "ReplicaSet" && owner.name !== workload;
  const kind = isDeployment ? "Deployment" : owner.kind;
  return `${owner.apiVersion}/namespaces/NAMESPACE/${kind.toLowerCase()}s/${workload}`;
}
