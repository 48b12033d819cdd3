import { createHash } from "node:crypto";
import { isIPv4 } from "node:net";
import type { EndpointSlice, Service } from "../../../api/core.ts";

/** One port of a Service, and who answers there. */
interface ServicePort {
  /** `namespace/name:port`, for people who read the rules. */
  readonly name: string;
  readonly clusterIp: string;
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /** Seconds that a client stays with its endpoint; undefined: each connection chooses. */
  readonly affinity: number | undefined;
  readonly endpoints: readonly { readonly ip: string; readonly port: number }[];
}

const serviceNameLabel = "kubernetes.io/service-name";

/**
 * What kube-proxy's iptables mode makes of Services: input for `iptables-restore` that replaces the tables `nat`,
 * `filter` and `raw` of the node's namespace.
 *
 * A connection to a ClusterIP goes to one ready endpoint by chance, or, where none is ready, to one that is ending but
 * still serves; where there is none at all it is refused. A pod that reaches itself is seen under the node's address.
 * Node ports, external addresses and IPv6 are not covered.
 */
export function serviceRules(services: readonly Service[], slices: readonly EndpointSlice[]): string {
  const ports = portsOf(services, slices);
  const served = ports.filter(({ endpoints }) => endpoints.length > 0);
  const chains = new Set(["KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"]);
  const rules: string[] = [];
  for (const port of served) {
    const chain = chainName("KUBE-SVC", port.name, port.protocol);
    chains.add(chain);
    rules.push(`-A KUBE-SERVICES ${matchOf(port)} -j ${chain}`);
    const ends = port.endpoints.map((endpoint) => ({
      ...endpoint,
      chain: chainName("KUBE-SEP", port.name, port.protocol, `${endpoint.ip}:${endpoint.port}`),
    }));
    const remember = port.affinity !== undefined;
    for (const end of remember ? ends : [])
      rules.push(
        `-A ${chain} -m recent --name ${end.chain} --rcheck --seconds ${port.affinity} --reap -j ${end.chain}`,
      );
    ends.forEach((end, index) => {
      const left = ends.length - index;
      const chance = left === 1 ? "" : ` -m statistic --mode random --probability ${(1 / left).toFixed(10)}`;
      rules.push(`-A ${chain}${chance} -j ${end.chain}`);
      chains.add(end.chain);
      rules.push(`-A ${end.chain} -s ${end.ip}/32 -j KUBE-MARK-MASQ`);
      const mark = remember ? ` -m recent --name ${end.chain} --set` : "";
      rules.push(`-A ${end.chain} -p ${port.protocol}${mark} -j DNAT --to-destination ${end.ip}:${end.port}`);
    });
  }
  const refused = ports.filter(({ endpoints }) => endpoints.length === 0);
  return [
    "*filter",
    ...refused.flatMap((port) =>
      ["FORWARD", "OUTPUT"].map((chain) => `-A ${chain} ${matchOf(port)} -j REJECT`),
    ),
    "COMMIT",
    "*raw",
    // Two questions from one port at one moment would be one connection, and one of them lost.
    "-A PREROUTING -p udp -m udp --dport 53 -m addrtype --dst-type LOCAL -j CT --notrack",
    "-A OUTPUT -p udp -m udp --sport 53 -j CT --notrack",
    "COMMIT",
    "*nat",
    ...[...chains].map((chain) => `:${chain} - [0:0]`),
    "-A PREROUTING -j KUBE-SERVICES",
    "-A OUTPUT -j KUBE-SERVICES",
    "-A POSTROUTING -j KUBE-POSTROUTING",
    "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
    "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
    "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
    "-A KUBE-POSTROUTING -j MASQUERADE",
    ...rules,
    "COMMIT",
    "",
  ].join("\n");
}

function matchOf({ clusterIp, protocol, port, name }: ServicePort): string {
  return `-d ${clusterIp}/32 -p ${protocol} -m ${protocol} --dport ${port} -m comment --comment "${name}"`;
}

function portsOf(services: readonly Service[], slices: readonly EndpointSlice[]): ServicePort[] {
  const slicesOf = Map.groupBy(
    slices,
    ({ metadata }) => `${metadata.namespace}/${metadata.labels?.[serviceNameLabel] ?? ""}`,
  );
  return services.flatMap(({ metadata, spec }) => {
    const key = `${metadata.namespace}/${metadata.name}`;
    const clusterIp = spec?.clusterIP ?? "";
    if (!isIPv4(clusterIp) || spec?.type === "ExternalName") return [];
    const affinity =
      spec?.sessionAffinity === "ClientIP"
        ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800)
        : undefined;
    return (spec?.ports ?? []).flatMap(({ name = "", port, protocol = "TCP" }) => {
      if (protocol !== "TCP" && protocol !== "UDP") return [];
      const endpoints = endpointsOf(slicesOf.get(key) ?? [], name, protocol);
      return [
        {
          ...{ clusterIp, port, affinity, endpoints },
          name: `${key}:${name || port}`,
          protocol: protocol === "TCP" ? ("tcp" as const) : ("udp" as const),
        },
      ];
    });
  });
}

function endpointsOf(
  slices: readonly EndpointSlice[],
  portName: string,
  protocol: string,
): ServicePort["endpoints"] {
  const all = slices
    .filter(({ addressType }) => addressType === "IPv4")
    .flatMap(({ endpoints, ports }) => {
      const port = (ports ?? []).find(
        ({ name = "", protocol: of = "TCP" }) => (name ?? "") === portName && of === protocol,
      )?.port;
      if (port === undefined) return [];
      return (endpoints ?? []).flatMap(({ addresses, conditions }) => {
        const ip = addresses[0] ?? "";
        return isIPv4(ip) ? [{ ip, port, conditions }] : [];
      });
    });
  const ready = all.filter(({ conditions }) => conditions?.ready !== false);
  const ending = all.filter(({ conditions }) => conditions?.serving === true && conditions.terminating);
  const chosen = ready.length > 0 ? ready : ending;
  const unique = new Map(chosen.map(({ ip, port }) => [`${ip}:${port}`, { ip, port }]));
  return [...unique].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
}

/** A chain's name has 28 characters at most. */
function chainName(kind: string, ...of: readonly string[]): string {
  const hash = createHash("sha256").update(of.join(" ")).digest("hex").slice(0, 16).toUpperCase();
  return `${kind}-${hash}`;
}
