/** What is spoken on a port. `undeclared`: nobody said, so the proxy looks at the first bytes. */
export type Protocol =
  | "http"
  | "http2"
  | "grpc"
  | "grpc-web"
  | "https"
  | "tls"
  | "tcp"
  | "udp"
  | "undeclared";

/** A Service as its callers see it. The same object while the Service does not change. */
export interface Service {
  /** Fully qualified, e.g. `shop.demo.svc.cluster.local`. */
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
  /** Virtual addresses; none where it is headless. */
  readonly addresses: readonly string[];
  readonly ports: readonly ServicePort[];
  /** Which pods of its namespace are behind it. */
  readonly selector: Readonly<Record<string, string>>;
  /** Namespaces whose callers see it; undefined: all. */
  readonly exportTo?: readonly string[] | undefined;
  /** RFC 3339; "" where unknown. The older wins a conflict. */
  readonly createdAt: string;
  /**
   * Set for a ServiceEntry's host: how the addresses behind it are found. `none`: connections go where the client's were
   * bound for; `static`: they are told; `dns`: by names, all their addresses; `dns-round-robin`: one address at a time.
   */
  readonly resolution?: "none" | "static" | "dns" | "dns-round-robin" | "dynamic-dns";
  /** Outside of the mesh: nobody there speaks mutual TLS. */
  readonly outside?: boolean;
  /** Labels of the WorkloadEntries and pods behind a ServiceEntry's host. */
  readonly workloads?: Readonly<Record<string, string>>;
  /** Names by which its servers are known, in place of their identities. */
  readonly subjectAltNames?: readonly string[];
}

export interface ServicePort {
  readonly number: number;
  readonly name: string;
  readonly protocol: Protocol;
  /** Port of the pods; a name stands for the container port of that name. */
  readonly targetPort: number | string;
}

/** Whether requests of this protocol are routed one by one. */
export function isHttp(protocol: Protocol): boolean {
  return protocol === "http" || isHttp2(protocol);
}

/** Whether there are route tables for a port of this protocol: HTTP, and what may turn out to be that. */
export function isRouted(protocol: Protocol): boolean {
  return isHttp(protocol) || protocol === "undeclared";
}

/** Whether the server is known to speak HTTP/2 without being asked. */
export function isHttp2(protocol: Protocol): boolean {
  return protocol === "http2" || protocol === "grpc" || protocol === "grpc-web";
}

const byApplicationProtocol = new Map<string, Protocol>([
  ["kubernetes.io/h2c", "http2"],
  ["kubernetes.io/ws", "http"],
  ["kubernetes.io/wss", "https"],
]);

const byName = new Map<string, Protocol>([
  ["http", "http"],
  ["http2", "http2"],
  ["grpc", "grpc"],
  ["grpc-web", "grpc-web"],
  ["https", "https"],
  ["tls", "tls"],
  ["tcp", "tcp"],
  ["mongo", "tcp"],
  ["mysql", "tcp"],
  ["redis", "tcp"],
  ["udp", "udp"],
]);

/** Ports whose servers speak first: looking at the client's first bytes would wait for ever. */
const serverSpeaksFirst: ReadonlySet<number> = new Set([25, 53, 3306, 27017]);

/**
 * Istio's protocol selection: `appProtocol`, else the port's name up to its first `-` (`grpc-web` is one word), else unknown.
 */
export function protocolOf(port: {
  readonly number: number;
  readonly name: string;
  readonly appProtocol: string | undefined;
  readonly transport: string | undefined;
}): Protocol {
  if (port.transport === "UDP") return "udp";
  const declared = port.appProtocol?.toLowerCase();
  const known = declared && (byApplicationProtocol.get(declared) ?? byName.get(declared));
  if (known) return known;
  const name = port.name.toLowerCase();
  const word =
    name === "grpc-web" || name.startsWith("grpc-web-") ? "grpc-web" : (name.split("-", 1)[0] ?? "");
  return byName.get(word) ?? (serverSpeaksFirst.has(port.number) ? "tcp" : "undeclared");
}
