import { isIPv4 } from "node:net";
import type { EndpointSlice, Service } from "../../../../api/core.ts";

/** The cluster's domain, without a dot at its end. */
export const clusterDomain = "cluster.local";

/** What one name has. */
export interface ZoneEntry {
  readonly addresses?: readonly string[];
  readonly alias?: string;
  readonly services?: readonly { readonly port: number; readonly target: string }[];
  /** Names of an address, under `in-addr.arpa`. */
  readonly pointers?: readonly string[];
}

/** Names in small letters, without a dot at the end. A plain object, since it is kept as JSON. */
export type Zone = Readonly<Record<string, ZoneEntry>>;

const serviceNameLabel = "kubernetes.io/service-name";

interface Entry {
  addresses: string[];
  services: { port: number; target: string }[];
  pointers: string[];
  alias?: string;
}

/**
 * The cluster's names by Kubernetes' DNS specification 1.1.0: ClusterIP, headless and ExternalName Services, SRV records
 * of their named ports, endpoints of headless Services, and the way back from an address.
 *
 * @see https://github.com/kubernetes/dns/blob/master/docs/specification.md
 */
export function buildZone(services: readonly Service[], slices: readonly EndpointSlice[]): Zone {
  const entries = new Map<string, Entry>();
  const entry = (name: string): Entry => {
    const key = name.toLowerCase();
    const found = entries.get(key) ?? { addresses: [], services: [], pointers: [] };
    entries.set(key, found);
    return found;
  };
  const slicesOf = Map.groupBy(
    slices.filter(({ addressType }) => addressType === "IPv4"),
    ({ metadata }) => `${metadata.namespace}/${metadata.labels?.[serviceNameLabel] ?? ""}`,
  );
  for (const { metadata, spec } of services) {
    const host = `${metadata.name}.${metadata.namespace}.svc.${clusterDomain}`;
    const clusterIp = spec?.clusterIP ?? "";
    if (spec?.type === "ExternalName") {
      if (spec.externalName) entry(host).alias = spec.externalName.toLowerCase().replace(/\.$/, "");
    } else if (isIPv4(clusterIp)) {
      entry(host).addresses.push(clusterIp);
      entry(reverseName(clusterIp)).pointers.push(host);
      for (const { name, port, protocol = "TCP" } of spec?.ports ?? [])
        if (name) entry(serviceRecord(name, protocol, host)).services.push({ port, target: host });
    } else if (clusterIp === "None") {
      addHeadless(entry, host, slicesOf.get(`${metadata.namespace}/${metadata.name}`) ?? []);
    }
  }
  return Object.fromEntries([...entries].map(([name, found]) => [name, compact(found)]));
}

function addHeadless(entry: (name: string) => Entry, host: string, slices: readonly EndpointSlice[]): void {
  // A name without an endpoint exists all the same.
  entry(host);
  for (const { endpoints, ports } of slices) {
    for (const { addresses, conditions, hostname } of endpoints ?? []) {
      const ip = addresses[0] ?? "";
      if (!isIPv4(ip) || conditions?.ready === false) continue;
      const target = `${hostname || ip.replaceAll(".", "-")}.${host}`;
      add(entry(host).addresses, ip);
      add(entry(target).addresses, ip);
      // Only who has a name of its own is known by its address.
      if (hostname) add(entry(reverseName(ip)).pointers, target);
      for (const { name, port, protocol = "TCP" } of ports ?? [])
        if (name && port !== undefined)
          entry(serviceRecord(name, protocol, host)).services.push({ port, target });
    }
  }
}

function add(list: string[], item: string): void {
  if (!list.includes(item)) list.push(item);
}

function serviceRecord(port: string, protocol: string, host: string): string {
  return `_${port}._${protocol.toLowerCase()}.${host}`;
}

function reverseName(ip: string): string {
  return `${ip.split(".").reverse().join(".")}.in-addr.arpa`;
}

function compact({ addresses, services, pointers, alias }: Entry): ZoneEntry {
  return {
    ...(addresses.length > 0 ? { addresses } : {}),
    ...(services.length > 0 ? { services } : {}),
    ...(pointers.length > 0 ? { pointers } : {}),
    ...(alias === undefined ? {} : { alias }),
  };
}
