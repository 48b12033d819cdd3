import { type Caller, isVisible, routesFor } from "../model/caller.ts";
import { blackHoleCluster, passthroughCluster } from "../model/names.ts";
import type { RouteTable } from "../model/route.ts";
import { isHttp, type Service } from "../model/service.ts";
import { changedKeys } from "../model/shared-map.ts";
import {
  type ConnectionChain,
  type ConnectionModel,
  chainsOf,
  connectionKey,
  connectionTables,
} from "./connection-chains.ts";
import { egressPorts, isElsewhere } from "./egress-ports.ts";
import { waysOf } from "./ways.ts";

/** A port of Services as the listeners of interception mode REDIRECT see it. */
export interface RedirectPort {
  /** 0.0.0.0 where requests are routed one by one: one listener for all Services of that port. */
  readonly address: string;
  readonly number: number;
  /** `sniffed`: nobody declared it, so the first bytes tell. */
  readonly kind: "http" | "sniffed" | "tcp";
  /** Where its connections go; none for `http`, where a route table tells. */
  readonly chains: readonly ConnectionChain[];
  /** Bound by the proxy itself: a Sidecar says so. Others wait for connections that iptables bring. */
  readonly bound?: true;
  /** Of `http`: some request's own host may have to be resolved. */
  readonly resolves?: true;
}

/** Ports of the proxy itself: no listener for a Service's port of that number. */
export const reservedPorts: ReadonlySet<number> = new Set([
  15000, 15001, 15006, 15008, 15020, 15021, 15053, 15090,
]);

interface Known {
  readonly services: ConnectionModel["services"];
  readonly policies: ConnectionModel["policies"];
  readonly egress: ConnectionModel["egress"];
  readonly tables: readonly RouteTable[];
  readonly endpoints: ConnectionModel["endpoints"];
  /** Hosts of the Services without an address, on whose endpoints the ports depend. */
  readonly headless: ReadonlySet<string>;
  readonly fingerprint: string;
  readonly ports: readonly RedirectPort[];
}

/**
 * Makes the function that lists the ports of all Services that a caller sees, each address and number once. It answers
 * the same list while nothing of it changes.
 */
export function createRedirectPorts() {
  const byCaller = new Map<string, Known>();
  return (model: ConnectionModel, caller: Caller): readonly RedirectPort[] => {
    const key = connectionKey(caller);
    const before = byCaller.get(key);
    const { services, policies } = model;
    const tables = connectionTables(routesFor(model.routes, caller));
    const sameServices = before?.services === services;
    const headless = sameServices ? before.headless : headlessHosts(services);
    const { endpoints } = model;
    const unchanged =
      sameServices &&
      before.egress === model.egress &&
      before.policies === policies &&
      isSameList(before.tables, tables) &&
      !changedKeys(before.endpoints, endpoints).some((host) => headless.has(host));
    if (unchanged) {
      byCaller.set(key, { ...before, endpoints });
      return before.ports;
    }
    const collected = collect(model, caller, tables);
    const fingerprint = JSON.stringify(collected);
    const ports = before?.fingerprint === fingerprint ? before.ports : collected;
    byCaller.set(key, {
      services,
      policies,
      egress: model.egress,
      tables,
      endpoints,
      headless,
      fingerprint,
      ports,
    });
    return ports;
  };
}

/** Hosts whose connections go to their pods' own addresses. */
function headlessHosts(services: ConnectionModel["services"]): ReadonlySet<string> {
  const found = services
    .values()
    .filter(
      ({ addresses, ports, resolution }) =>
        resolution === undefined && addresses.length === 0 && ports.some(isConnectionPort),
    );
  return new Set(found.map(({ host }) => host));
}

function isConnectionPort({ protocol }: Service["ports"][number]): boolean {
  return !isHttp(protocol) && protocol !== "udp";
}

function collect(model: ConnectionModel, caller: Caller, tables: readonly RouteTable[]): RedirectPort[] {
  const found = new Map<string, RedirectPort>();
  const wayTo = waysOf(model, caller);
  const add = (port: RedirectPort) => {
    const key = `${port.address}_${port.number}`;
    const present = found.get(key);
    if (present === undefined) found.set(key, port);
    else if (port.resolves && present.kind === "http") found.set(key, { ...present, resolves: true });
    // Hosts of ServiceEntries without an address share a port by their server names.
    else if (isByName(present) && isByName(port))
      found.set(key, { ...present, chains: [...withoutFallback(present), ...port.chains] });
  };
  for (const port of egressPorts(model, caller, "REDIRECT")) add(port);
  for (const service of model.services.values()) {
    if (!isVisible(service.exportTo, caller.namespace)) continue;
    for (const port of service.ports) {
      const { number, protocol } = port;
      if (reservedPorts.has(number) || protocol === "udp" || isElsewhere(model, service, number)) continue;
      if (isHttp(protocol)) {
        const resolves = service.resolution === "dynamic-dns";
        add({ address: "0.0.0.0", number, kind: "http", chains: [], ...(resolves && { resolves }) });
        continue;
      }
      const kind = protocol === "undeclared" ? "sniffed" : "tcp";
      const chains = byName(service, protocol, chainsOf(service, port, tables, wayTo), model);
      for (const address of addressesOf(service, number, model)) add({ address, number, kind, chains });
    }
  }
  return [...found.values()];
}

/**
 * TLS to a ServiceEntry's host without an address is known by its server name alone; what asks for another name on that
 * port is treated as any connection to nowhere known.
 */
function byName(
  { host, resolution, addresses }: Service,
  protocol: Service["ports"][number]["protocol"],
  chains: readonly ConnectionChain[],
  { settings }: ConnectionModel,
): readonly ConnectionChain[] {
  const isTls = protocol === "tls" || protocol === "https";
  if (resolution === undefined || addresses.length > 0 || !isTls) return chains;
  const unknown = settings.outboundTrafficPolicy === "REGISTRY_ONLY" ? blackHoleCluster : passthroughCluster;
  const target = {
    clusters: [{ name: unknown, weight: 1 }],
    idleTimeout: undefined,
    maxDuration: undefined,
    hashesSource: false,
    tunnel: undefined,
  };
  const named = chains.map((chain) =>
    chain.serverNames.length > 0 ? chain : { ...chain, serverNames: [host] },
  );
  return [...named, { serverNames: [], destinationSubnets: [], sourceSubnets: [], target }];
}

function isByName({ address, kind, chains }: RedirectPort): boolean {
  return address === everywhere && kind === "tcp" && chains.some(({ serverNames }) => serverNames.length > 0);
}

function withoutFallback({ chains }: RedirectPort): readonly ConnectionChain[] {
  return chains.filter(({ serverNames }) => serverNames.length > 0);
}

const everywhere = "0.0.0.0";

/** Where clients connect to: the Service's virtual addresses; without one, its pods' own. */
function addressesOf(
  { host, addresses, resolution }: Service,
  port: number,
  { endpoints }: ConnectionModel,
): readonly string[] {
  if (resolution !== undefined) {
    // Of a block of addresses Envoy's listener knows nothing: such connections arrive as to any address.
    const single = addresses.filter((address) => !address.includes("/"));
    return single.length > 0 ? single : [everywhere];
  }
  if (addresses.length > 0) return addresses;
  return (endpoints.get(host)?.byPort.get(port) ?? []).map(({ address }) => address);
}

function isSameList<T>(before: readonly T[], after: readonly T[]): boolean {
  return before.length === after.length && before.every((item, index) => item === after[index]);
}
