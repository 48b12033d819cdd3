import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Node } from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import { type Locality, localityOfLabels } from "./locality.ts";
import { type ContainerPort, factsOf, type WorkloadFacts } from "./workload.ts";

/** How traffic gets into the proxy: `NONE` by explicit listeners and HTTP proxy, `REDIRECT` by iptables. */
export type Interception = "NONE" | "REDIRECT";

/** One Envoy, as its node describes it. */
export interface Proxy {
  /** Node id, `<kind>~<ip>~<pod>.<ns>~<ns>.svc.<domain>`. */
  readonly id: string;
  /** `router`: a gateway's proxy, which stands in front of no application. */
  readonly kind: "sidecar" | "router";
  /** Whether a certificate proved who it is: only then it gets secrets. */
  readonly proven: boolean;
  readonly ip: string;
  /** Name of the pod. */
  readonly pod: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly facts: WorkloadFacts;
  readonly interception: Interception;
  /** Port of the HTTP proxy for the pod's outgoing requests; only in mode NONE. */
  readonly httpProxyPort: number;
  /** Where the application listens: the pod runner's choice, else the pod itself (its loopback in mode NONE). */
  readonly appAddress: string;
  /** Ports of the containers that the node tells; the pod object's own win where it is known. */
  readonly ports: readonly ContainerPort[];
  readonly locality?: Locality | undefined;
  /** A gRPC client that is its own proxy; undefined: an Envoy. */
  readonly generator?: "grpc" | undefined;
  /** Gets the clusters of its own namespace and asks for others at their first request; undefined: gets all. */
  readonly scope?: "learned" | undefined;
  /** False for an Envoy before 1.37 and for a gRPC client, which have no composite clusters and no log of attempts. */
  readonly knowsShields?: false | undefined;
}

/** Whether pods share one loopback, on one machine: each then has addresses there for its own, and binds no others. */
export function sharesLoopback({
  interception,
  appAddress,
}: Pick<Proxy, "interception" | "appAddress">): boolean {
  return interception === "NONE" && appAddress !== "127.0.0.1";
}

const defaultHttpProxyPort = 15080;

/**
 * Reads the node of a sidecar or a gateway (`router`) in Istio's form.
 *
 * Metadata: NAMESPACE, NAME, LABELS, WORKLOAD_NAME, SERVICE_ACCOUNT, CLUSTER_ID, INTERCEPTION_MODE,
 * HTTP_PROXY_PORT, POD_PORTS (JSON text), FAIRLEAD_APP_ADDRESS, FAIRLEAD_SCOPE (`learned`), GENERATOR (`grpc`).
 *
 * @returns why it is none, where it is none
 */
export function readNode({
  id,
  metadata,
  locality,
  userAgentVersionType,
}: Pick<Node, "id" | "metadata" | "locality"> & Partial<Pick<Node, "userAgentVersionType">>):
  | Proxy
  | { readonly refused: string } {
  const [kind, ip, instance = "", domain = ""] = id.split("~");
  const dot = instance.lastIndexOf(".");
  const namespace = instance.slice(dot + 1);
  if ((kind !== "sidecar" && kind !== "router") || !ip || dot <= 0 || namespace === "" || domain === "") {
    return { refused: `node id \`${id}\` is not of the form sidecar|router~<ip>~<pod>.<namespace>~<domain>` };
  }
  const facts: JsonObject = metadata ?? {};
  const pod = instance.slice(0, dot);
  const labels = textMap(facts.LABELS);
  const interception = text(facts.INTERCEPTION_MODE) === "NONE" ? "NONE" : "REDIRECT";
  const cluster = text(facts.CLUSTER_ID) ?? "Kubernetes";
  const generator = text(facts.GENERATOR) === "grpc" ? "grpc" : undefined;
  const learns = kind === "sidecar" && generator === undefined && text(facts.FAIRLEAD_SCOPE) === "learned";
  return {
    id,
    kind,
    proven: false,
    ip,
    pod,
    namespace,
    labels,
    serviceAccount: text(facts.SERVICE_ACCOUNT) ?? "default",
    facts: factsOf(labels, { namespace, workload: text(facts.WORKLOAD_NAME) ?? pod, cluster }),
    interception,
    httpProxyPort: Number(text(facts.HTTP_PROXY_PORT) ?? defaultHttpProxyPort) || defaultHttpProxyPort,
    appAddress: text(facts.FAIRLEAD_APP_ADDRESS) ?? (interception === "NONE" ? "127.0.0.1" : ip),
    ports: readPorts(text(facts.POD_PORTS)),
    locality: localityOfLabels(labels) ?? readLocality(locality),
    generator,
    scope: learns ? "learned" : undefined,
    ...(!knowsComposites(facts, userAgentVersionType) && { knowsShields: false }),
  };
}

/** Whether it has `envoy.clusters.composite`. An Envoy that does not tell its version counts as new. */
function knowsComposites(
  { GENERATOR }: JsonObject,
  agent: Node["userAgentVersionType"] | undefined,
): boolean {
  if (text(GENERATOR) === "grpc") return false;
  const version = agent?.case === "userAgentBuildVersion" ? agent.value.version : undefined;
  if (version === undefined) return true;
  return version.majorNumber > 1 || (version.majorNumber === 1 && version.minorNumber >= 37);
}

function readLocality(locality: Node["locality"]): Locality | undefined {
  if (!locality?.region && !locality?.zone) return undefined;
  return { region: locality.region, zone: locality.zone, subzone: locality.subZone };
}

function text(value: JsonValue | undefined): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}

function textMap(value: JsonValue | undefined): Readonly<Record<string, string>> {
  const map: Record<string, string> = Object.create(null);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return map;
  for (const [name, entry] of Object.entries(value)) if (typeof entry === "string") map[name] = entry;
  return map;
}

/** Istio's POD_PORTS: `[{"name":"http","containerPort":8080,"protocol":"TCP"}]`. */
function readPorts(json: string | undefined): readonly ContainerPort[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json ?? "[]");
  } catch {
    return [];
  }
  if (!Array.isArray(parsed)) return [];
  const ports: ContainerPort[] = [];
  for (const entry of parsed) {
    if (typeof entry !== "object" || entry === null) continue;
    const { name, containerPort, protocol }: { name?: unknown; containerPort?: unknown; protocol?: unknown } =
      entry;
    if (typeof containerPort !== "number" || (protocol !== undefined && protocol !== "TCP")) continue;
    ports.push({ number: containerPort, name: typeof name === "string" ? name : undefined });
  }
  return ports;
}
