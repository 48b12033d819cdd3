import type { Caller } from "../model/caller.ts";
import type { Tunnel } from "../model/destination-policy.ts";
import { type Model, routeTableFor } from "../model/model.ts";
import type { ConnectionMatch, Destination, RouteTable } from "../model/route.ts";
import type { Protocol, Service } from "../model/service.ts";
import type { WayTo } from "./ways.ts";
import { normaliseWeights } from "./weights.ts";

/** Where connections that fit go. Of several in a list Envoy takes the one that fits most exactly. */
export interface ConnectionChain {
  /** Server names of TLS; none fits any connection. */
  readonly serverNames: readonly string[];
  /** Addresses or CIDRs; none fits any. */
  readonly destinationSubnets: readonly string[];
  readonly sourceSubnets: readonly string[];
  readonly target: ConnectionTarget;
}

/** What a TCP proxy is told. */
export interface ConnectionTarget {
  /** By weight; a lone one takes all; none: connections are closed. */
  readonly clusters: readonly { readonly name: string; readonly weight: number }[];
  /** Milliseconds; undefined: Envoy's hour. */
  readonly idleTimeout: number | undefined;
  readonly maxDuration: number | undefined;
  readonly hashesSource: boolean;
  readonly tunnel: Tunnel | undefined;
}

/** Tables that say something of connections. */
export function connectionTables(routes: readonly RouteTable[]): readonly RouteTable[] {
  const known = tables.get(routes) ?? routes.filter(({ tls, tcp }) => tls.length + tcp.length > 0);
  tables.set(routes, known);
  return known;
}

const tables = new WeakMap<readonly RouteTable[], readonly RouteTable[]>();

/**
 * The chains of a Service's port that is not HTTP: by server name where the port carries TLS, else by address.
 * Connections that fit no route go to the Service itself; but where a TLS port has routes, they are closed, as in Istio.
 *
 * @param routes those with connection routes, as the caller sees them
 */
export function chainsOf(
  service: Service,
  port: { readonly number: number; readonly protocol: Protocol },
  routes: readonly RouteTable[],
  wayTo: WayTo,
): ConnectionChain[] {
  const table = routes.length === 0 ? undefined : routeTableFor(routes, service.host);
  const isTls = port.protocol === "tls" || port.protocol === "https";
  const chains = isTls ? tlsChains(table, port.number, wayTo) : tcpChains(table, port.number, wayTo);
  const takesAll = chains.some(
    ({ serverNames, destinationSubnets, sourceSubnets }) =>
      serverNames.length + destinationSubnets.length + sourceSubnets.length === 0,
  );
  if (takesAll || (isTls && chains.length > 0)) return chains;
  const own = { host: service.host, subset: undefined, port: port.number, weight: 1 };
  return [...chains, { ...anything, target: connectionTarget([own], port.number, wayTo) }];
}

const anything = { serverNames: [], destinationSubnets: [], sourceSubnets: [] };

function tcpChains(table: RouteTable | undefined, port: number, wayTo: WayTo): ConnectionChain[] {
  const chains: ConnectionChain[] = [];
  const seen = new Set<string>();
  for (const { matches, destinations } of table?.tcp ?? []) {
    const fitting: readonly (ConnectionMatch | undefined)[] =
      matches.length === 0 ? [undefined] : matches.filter((match) => isOn(match, port));
    for (const match of fitting) {
      const where = placeOf(match);
      if (seen.has(JSON.stringify(where))) continue;
      seen.add(JSON.stringify(where));
      chains.push({ serverNames: [], ...where, target: connectionTarget(destinations, port, wayTo) });
    }
  }
  return chains;
}

function tlsChains(table: RouteTable | undefined, port: number, wayTo: WayTo): ConnectionChain[] {
  const chains: ConnectionChain[] = [];
  const seen = new Set<string>();
  for (const { matches, destinations } of table?.tls ?? []) {
    for (const match of matches) {
      if (!isOn(match, port)) continue;
      const where = placeOf(match);
      // Envoy refuses two chains with one match: the first keeps the name.
      const fresh = match.serverNames.filter((name) => !seen.has(JSON.stringify([name, where])));
      for (const name of fresh) seen.add(JSON.stringify([name, where]));
      if (fresh.length === 0) continue;
      // Envoy knows no name that fits all: no name at all does.
      const serverNames = fresh.includes("*") ? [] : fresh;
      chains.push({ serverNames, ...where, target: connectionTarget(destinations, port, wayTo) });
    }
  }
  return chains;
}

function isOn({ port }: ConnectionMatch, listener: number): boolean {
  return port === undefined || port === listener;
}

function placeOf(match: ConnectionMatch | undefined) {
  return {
    destinationSubnets: match?.destinationSubnets ?? [],
    sourceSubnets: match?.sourceSubnet === undefined ? [] : [match.sourceSubnet],
  };
}

type Weighted = Pick<Destination, "host" | "subset" | "port" | "weight">;

/**
 * Where a route's connections go; to nobody where no destination has a weight. Limits of time are those of the first
 * destination: one proxy stands for all.
 */
export function connectionTarget(
  destinations: readonly Weighted[],
  port: number,
  wayTo: WayTo,
): ConnectionTarget {
  const weights = normaliseWeights(destinations.map(({ weight }) => weight));
  const ways = destinations.map((destination) => wayTo(destination, port));
  const { connectionPool, loadBalancer, tunnel } = ways[0]?.policy ?? {};
  return {
    clusters: ways
      .map(({ cluster }, index) => ({ name: cluster, weight: weights[index] ?? 0 }))
      .filter(({ weight }) => weight > 0),
    idleTimeout: connectionPool?.tcpIdleTimeout,
    maxDuration: connectionPool?.maxConnectionDuration,
    hashesSource: loadBalancer?.hash?.by.kind === "source-ip",
    tunnel,
  };
}

/** What of a model decides about connections, see {@link connectionTables}. */
export type ConnectionModel = Pick<
  Model,
  "services" | "endpoints" | "routes" | "policies" | "settings" | "egress"
>;

/** By what callers differ in their connections: where they run says nothing here. */
export function connectionKey({ namespace, selected }: Caller): string {
  return [namespace, ...selected].join(" ");
}
