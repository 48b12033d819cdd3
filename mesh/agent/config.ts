import { isIPv4 } from "node:net";
import { mountResolver } from "../../lib/mounts.ts";

/** A pod's probe as the injector found it, before it pointed it at the agent. */
export interface AppProbe {
  readonly httpGet?: {
    readonly path?: string;
    readonly port: number;
    readonly scheme?: string;
    readonly httpHeaders?: readonly { readonly name: string; readonly value: string }[];
  };
  readonly tcpSocket?: { readonly port: number };
  readonly grpc?: { readonly port: number; readonly service?: string };
  readonly timeoutSeconds?: number;
}

/** The application's own Prometheus page, merged into the sidecar's. */
export interface AppMetrics {
  readonly port: number;
  readonly path: string;
}

/** What one proxy is, read from its environment and its mounted files. */
export interface AgentConfig {
  /** `router`: a gateway's proxy, which has no application. */
  readonly kind: "sidecar" | "router";
  readonly podName: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly podIp: string;
  /** Where the application listens: the pod IP, or in the loopback data path an address of its own. */
  readonly appAddress: string;
  /** Where the agent calls the application from, so that iptables do not take the call for one from outside. */
  readonly appSource?: string;
  /** Mark of what Envoy sends, where iptables know it by that and not by its user. */
  readonly socketMark?: number;
  /** Every process of the machine shares one loopback: listeners and sources stand on the pod's own address. */
  readonly loopback: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly trustDomain: string;
  readonly domain: string;
  /** `host:port` of discovery over TLS. */
  readonly discoveryAddress: string;
  /** `host:port` of the certificate authority. */
  readonly caAddress: string;
  /** Worker threads of Envoy. */
  readonly concurrency: number;
  /** Milliseconds that Envoy may take to finish its requests after SIGTERM. */
  readonly terminationDrain: number;
  readonly logLevel: string;
  readonly envoyBinary: string;
  /** Milliseconds; the lifetime asked of the CA. */
  readonly certificateLifetime: number;
  readonly files: { readonly token: string; readonly root: string; readonly state: string };
  readonly probes: Readonly<Record<string, AppProbe>>;
  readonly appMetrics?: AppMetrics;
  /** Node metadata that the injector wrote: `ISTIO_META_*` without the prefix. */
  readonly metadata: Readonly<Record<string, string>>;
}

const defaultDiscoveryAddress = "istiod.istio-system.svc:15012";

/**
 * Reads what the injector wrote: Istio's variables and mount paths.
 *
 * `FAIRLEAD_MOUNTS` (JSON, mount path to host path) replaces a mount namespace where pods are plain processes.
 *
 * @param argv `router` for a gateway's proxy; `--discovery-address HOST:PORT`, `--concurrency N`, `--log-level LEVEL` win over the environment
 * @param readFile undefined where the file does not exist
 * @throws Error which names the variable that is missing or wrong
 */
export function readAgentConfig(
  env: Readonly<Record<string, string | undefined>>,
  argv: readonly string[],
  readFile: (path: string) => string | undefined,
): AgentConfig {
  const flags = readFlags(argv);
  const mounted = mountResolver(env.FAIRLEAD_MOUNTS);
  const proxyConfig = readJson(env.PROXY_CONFIG, "PROXY_CONFIG");
  const podIp = required(env, "INSTANCE_IP");
  const discoveryAddress =
    flags["discovery-address"] ?? text(proxyConfig.discoveryAddress) ?? defaultDiscoveryAddress;
  const metadata = readMetadata(env);
  const appMetrics = readAppMetrics(env.ISTIO_PROMETHEUS_ANNOTATIONS);
  return {
    kind: argv.includes("router") ? "router" : "sidecar",
    podName: required(env, "POD_NAME"),
    namespace: required(env, "POD_NAMESPACE"),
    serviceAccount: env.SERVICE_ACCOUNT || "default",
    podIp,
    appAddress: env.FAIRLEAD_APP_ADDRESS || appAddressOf(podIp, metadata.INTERCEPTION_MODE),
    ...(redirected(metadata.INTERCEPTION_MODE) ? { appSource: isIPv4(podIp) ? "127.0.0.6" : "::6" } : {}),
    ...(env.FAIRLEAD_SOCKET_MARK ? { socketMark: wholeNumber(env.FAIRLEAD_SOCKET_MARK, 0) } : {}),
    loopback: isLoopback(podIp) || (env.FAIRLEAD_APP_ADDRESS || podIp) !== podIp,
    labels: readDownwardFile(readFile(mounted("/etc/istio/pod/labels"))),
    annotations: readDownwardFile(readFile(mounted("/etc/istio/pod/annotations"))),
    trustDomain: env.TRUST_DOMAIN || "cluster.local",
    domain: `${required(env, "POD_NAMESPACE")}.svc.cluster.local`,
    discoveryAddress,
    caAddress: env.CA_ADDR || discoveryAddress,
    concurrency: wholeNumber(flags.concurrency ?? proxyConfig.concurrency, 1),
    terminationDrain: seconds(proxyConfig.terminationDrainDuration, 5) * 1000,
    logLevel: flags["log-level"] ?? "warning",
    envoyBinary: env.ENVOY_BIN || "envoy",
    certificateLifetime: seconds(env.SECRET_TTL, 24 * 3600) * 1000,
    files: {
      token: mounted("/var/run/secrets/tokens/istio-token"),
      root: mounted("/var/run/secrets/istio/root-cert.pem"),
      state: mounted("/etc/istio/proxy"),
    },
    probes: readJson(env.ISTIO_KUBE_APP_PROBERS, "ISTIO_KUBE_APP_PROBERS") as Record<string, AppProbe>,
    ...(appMetrics ? { appMetrics } : {}),
    metadata,
  };
}

/**
 * The application's address beside its pod's in the loopback data path: 128 added to the third part.
 *
 * Any other pod IP, or interception by iptables, leaves the application where the pod is.
 */
export function appAddressOf(podIp: string, interceptionMode: string | undefined): string {
  const [first, second, third = 0, fourth] = podIp.split(".").map(Number);
  if (interceptionMode !== "NONE" || !isLoopback(podIp) || third < 1 || third > 127) return podIp;
  return [first, second, third + 128, fourth].join(".");
}

/** Whether iptables bring connections to the proxy, as Istio's rules do. */
function redirected(interceptionMode: string | undefined): boolean {
  return interceptionMode === "REDIRECT" || interceptionMode === "TPROXY";
}

function isLoopback(ip: string): boolean {
  return isIPv4(ip) && ip.startsWith("127.");
}

/** Kubernetes' downward API file: one `key="value"` a line, the value quoted as Go does. */
export function readDownwardFile(content: string | undefined): Record<string, string> {
  const entries = Object.create(null) as Record<string, string>;
  for (const line of content?.split("\n") ?? []) {
    const [, key, value] = /^([^=]+)=(".*")$/.exec(line) ?? [];
    if (key === undefined || value === undefined) continue;
    try {
      entries[key] = String(JSON.parse(value));
    } catch {
      entries[key] = value.slice(1, -1);
    }
  }
  return entries;
}

function readFlags(argv: readonly string[]): Partial<Record<string, string>> {
  const flags = Object.create(null) as Record<string, string>;
  argv.forEach((argument, index) => {
    const [, name, inline] = /^--(discovery-address|concurrency|log-level)(?:=(.*))?$/.exec(argument) ?? [];
    const value = inline ?? argv[index + 1];
    if (name !== undefined && value !== undefined) flags[name] = value;
  });
  return flags;
}

function readMetadata(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const metadata = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(env)) {
    if (name.startsWith("ISTIO_META_") && value !== undefined)
      metadata[name.slice("ISTIO_META_".length)] = value;
  }
  return metadata;
}

function readAppMetrics(annotations: string | undefined): AppMetrics | undefined {
  const { scrape, port, path } = readJson(annotations, "ISTIO_PROMETHEUS_ANNOTATIONS");
  const number = Number(port);
  return scrape === "true" && Number.isInteger(number)
    ? { port: number, path: text(path) ?? "/metrics" }
    : undefined;
}

function readJson(content: string | undefined, variable: string): Record<string, unknown> {
  if (!content) return {};
  try {
    const value: unknown = JSON.parse(content);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // named below, like any other value that is no object
  }
  throw new Error(`variable \`${variable}\` is not a JSON object`);
}

function required(env: Readonly<Record<string, string | undefined>>, variable: string): string {
  const value = env[variable];
  if (!value)
    throw new Error(
      `variable \`${variable}\` is missing: the agent runs in a pod that the injector prepared`,
    );
  return value;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function wholeNumber(value: unknown, otherwise: number): number {
  const number = Number(value);
  return value !== undefined && Number.isInteger(number) && number >= 0 ? number : otherwise;
}

/** Seconds of `45s`, `24h0m0s` or the like. */
function seconds(value: unknown, otherwise: number): number {
  const parts = typeof value === "string" ? [...value.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g)] : [];
  if (parts.length === 0) return otherwise;
  const size: Record<string, number> = { h: 3600, m: 60, s: 1, ms: 0.001 };
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * (size[unit ?? "s"] ?? 1), 0);
}
