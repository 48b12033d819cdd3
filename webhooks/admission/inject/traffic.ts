import { isIP, isIPv6 } from "node:net";
import { AnnotationError } from "./annotation-error.ts";
import type { InjectionConfig } from "./config.ts";
import type { Container } from "./pod.ts";

/** Ports of the sidecar itself that answer without the proxy: metrics, health, agent. */
const ownPorts = [15090, 15021, 15020];
const prefix = "traffic.sidecar.istio.io/";

/** Annotations about which connections go through the sidecar: name, flag of istio-iptables, form. */
const annotations = [
  { name: `${prefix}includeOutboundIPRanges`, flag: "-i", form: "ranges", otherwise: "*" },
  { name: `${prefix}excludeOutboundIPRanges`, flag: "-x", form: "listed ranges", otherwise: "" },
  { name: `${prefix}includeInboundPorts`, flag: "-b", form: "ports", otherwise: "*" },
  { name: `${prefix}excludeInboundPorts`, flag: "-d", form: "listed ports", otherwise: "" },
  { name: `${prefix}includeOutboundPorts`, flag: "-q", form: "listed ports", otherwise: undefined },
  { name: `${prefix}excludeOutboundPorts`, flag: "-o", form: "listed ports", otherwise: undefined },
  { name: `${prefix}kubevirtInterfaces`, flag: "-k", form: "interfaces", otherwise: undefined },
  { name: "istio.io/reroute-virtual-interfaces", flag: "-k", form: "interfaces", otherwise: undefined },
  { name: `${prefix}excludeInterfaces`, flag: "-c", form: "interfaces", otherwise: undefined },
] as const;

type Form = (typeof annotations)[number]["form"];

/**
 * The flags of `fairlead agent iptables` that a pod's annotations make.
 *
 * @param text an annotation's value; undefined where it is not set
 * @param config how connections of the sidecar's own are known
 * @throws AnnotationError
 */
export function readTrafficFlags(
  text: (annotation: string) => string | undefined,
  { socketMark, discoveryAddress }: Pick<InjectionConfig, "socketMark" | "discoveryAddress">,
): readonly string[] {
  const flags = new Map<string, string>();
  for (const { name, flag, form, otherwise } of annotations) {
    const given = text(name);
    if (given !== undefined) check(name, given, form);
    const value = given ?? otherwise;
    if (value === undefined) continue;
    const before = flags.get(flag);
    flags.set(flag, before === undefined ? items(value).join(",") : `${before},${items(value).join(",")}`);
  }
  const excluded = new Set([...ownPorts.map(String), ...items(flags.get("-d") ?? "")]);
  flags.set("-d", [...excluded].join(","));
  if (socketMark === undefined) return ["-u", String(proxyUser), ...[...flags].flat()];
  // Not the proxy's, so it has no mark: the agent's own way to the control plane.
  const home = discoveryAddress.split(":")[0] ?? "";
  if (isIP(home) !== 0) flags.set("-x", [...items(flags.get("-x") ?? ""), `${home}/32`].join(","));
  return ["--proxy-mark", String(socketMark), ...[...flags].flat()];
}

/**
 * The container that sends the pod's connections through the sidecar, before any other starts.
 *
 * @param flags as {@link readTrafficFlags} makes them
 */
export function buildInitContainer(
  image: string,
  flags: readonly string[],
  resources: NonNullable<Container["resources"]>,
): Container {
  return {
    name: initName,
    image,
    args: ["agent", "iptables", "-p", "15001", "-z", "15006", "-m", "REDIRECT", ...flags],
    resources,
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { add: ["NET_ADMIN", "NET_RAW"], drop: ["ALL"] },
      privileged: false,
      readOnlyRootFilesystem: false,
      runAsGroup: 0,
      runAsNonRoot: false,
      runAsUser: 0,
    },
  };
}

/** Istio's name of it. */
export const initName = "istio-init";

/** The user whose connections are the sidecar's own. */
export const proxyUser = 1337;

function items(value: string): string[] {
  return value
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

function check(name: string, value: string, form: Form): void {
  const all = form === "ranges" || form === "ports";
  if (all && value.trim() === "*") return;
  const allowed = {
    ranges: "`*` or address ranges such as 10.0.0.0/8, with commas",
    "listed ranges": "address ranges such as 10.0.0.0/8, with commas",
    ports: "`*` or ports, with commas",
    "listed ports": "ports, with commas",
    interfaces: "names of interfaces, with commas",
  }[form];
  if (!items(value).every(form.endsWith("ranges") ? isRange : form.endsWith("ports") ? isPort : isInterface))
    throw new AnnotationError(name, value, allowed);
}

function isRange(item: string): boolean {
  const [address = "", length = "0", ...more] = item.split("/");
  const most = isIPv6(address) ? 128 : 32;
  return isIP(address) !== 0 && more.length === 0 && /^\d{1,3}$/.test(length) && Number(length) <= most;
}

function isPort(item: string): boolean {
  return /^\d{1,5}$/.test(item) && Number(item) >= 1 && Number(item) <= 65_535;
}

function isInterface(item: string): boolean {
  return /^[A-Za-z0-9_.@+][A-Za-z0-9_.@+-]{0,14}$/.test(item);
}
