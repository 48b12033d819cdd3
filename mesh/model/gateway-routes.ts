import { type Caller, routesFor } from "./caller.ts";
import { commonHost, type ServerHost } from "./gateway.ts";
import type { BoundServer, PlannedListener } from "./gateway-plan.ts";
import type { Model } from "./model.ts";
import type { Destination, RouteTable } from "./route.ts";

/** Connections of some server names, and where they go. */
export interface Stream {
  readonly hosts: readonly Pick<ServerHost, "host">[];
  readonly destinations: readonly Destination[];
}

/** A host on a gateway, and whose routes answer it. */
export interface GatewayHost {
  readonly host: string;
  /** Oldest first. */
  readonly tables: readonly RouteTable[];
  readonly redirectToHttps: boolean;
  /** Another listener of the port has it: 421. */
  readonly misdirected: boolean;
}

/** Name of the route table of a port, or of one server with TLS on it: as Istio spells them. */
export function gatewayRouteTable({ number, bind }: PlannedListener, bound?: BoundServer): string {
  const at = bind === undefined ? "" : `.${bind}`;
  if (bound === undefined) return `http.${number}${at}`;
  const { gateway, server } = bound;
  return `https.${server.port}.${server.name}.${gateway.name}.${gateway.namespace}${at}`;
}

/** Who asks for the routes of one server: matches that name gateways choose among its own. */
function callerFor({ server }: BoundServer, caller: Caller): Caller {
  return { ...caller, key: `${caller.key} ${server.routeId}`, gateways: [server.routeId] };
}

/** The hosts of one route table, sorted. @param listener all servers of the port, `bound` those of the table */
export function hostsOf(
  model: Pick<Model, "routes">,
  caller: Caller,
  listener: PlannedListener,
  bound: readonly BoundServer[],
): GatewayHost[] {
  const found = new Map<
    string,
    { tables: Set<RouteTable>; redirectToHttps: boolean; misdirected: boolean }
  >();
  const entry = (host: string) => {
    const present = found.get(host) ?? { tables: new Set(), redirectToHttps: false, misdirected: false };
    found.set(host, present);
    return present;
  };
  for (const one of bound) {
    const { server } = one;
    const others = server.isolated ? listener.servers.filter((other) => other.server !== server) : [];
    for (const { host: own, namespace: from } of server.hosts) {
      // A host without routes is its listener's all the same: 404, and the redirect to HTTPS.
      if (server.isolated || server.redirectToHttps) entry(own).redirectToHttps ||= server.redirectToHttps;
      for (const table of routesFor(model.routes, callerFor(one, caller))) {
        if (table.http.length === 0 || (from !== undefined && from !== table.namespace)) continue;
        for (const wanted of table.hosts) {
          const host = commonHost(own, wanted);
          if (host === undefined || others.some((other) => namesMoreExactly(other, host, own))) continue;
          const present = entry(host);
          present.tables.add(table);
          present.redirectToHttps ||= server.redirectToHttps;
        }
      }
    }
  }
  if (bound.length < listener.servers.length) {
    const elsewhere = listener.servers.filter((one) => !bound.includes(one) && one.server.isolated);
    for (const { host } of elsewhere.flatMap(({ server }) => server.hosts))
      if (host !== "*" && !found.has(host)) entry(host).misdirected = true;
  }
  return [...found]
    .map(([host, { tables, ...rest }]) => ({ host, tables: [...tables], ...rest }))
    .sort((a, b) => (a.host < b.host ? -1 : 1));
}

function namesMoreExactly({ server }: BoundServer, host: string, own: string): boolean {
  return server.hosts.some(
    (other) =>
      other.host !== own &&
      commonHost(other.host, own) === other.host &&
      commonHost(other.host, host) === host,
  );
}

/** Where connections of a server go whose bytes are passed on. The first route of a server name counts. */
export function streamsOf(model: Pick<Model, "routes">, caller: Caller, bound: BoundServer): Stream[] {
  const { server } = bound;
  const streams: Stream[] = [];
  for (const table of routesFor(model.routes, callerFor(bound, caller))) {
    const hosts = server.hosts
      .filter((host) => host.namespace === undefined || host.namespace === table.namespace)
      .flatMap(({ host }) => table.hosts.flatMap((wanted) => commonHost(host, wanted) ?? []));
    if (hosts.length === 0) continue;
    if (server.tls?.mode === "passthrough") {
      for (const { matches, destinations } of table.tls)
        for (const match of matches) {
          if (match.port !== undefined && match.port !== server.port) continue;
          const names = match.serverNames.flatMap((name) =>
            hosts.flatMap((host) => commonHost(host, name) ?? []),
          );
          if (names.length > 0) streams.push({ hosts: names.map((host) => ({ host })), destinations });
        }
      continue;
    }
    for (const { matches, destinations } of table.tcp) {
      const fits =
        matches.length === 0 || matches.some(({ port }) => port === undefined || port === server.port);
      if (fits) streams.push({ hosts: hosts.map((host) => ({ host })), destinations });
    }
  }
  return server.protocol === "tcp" ? streams.slice(0, 1) : streams;
}
