import { type Model, routeTableFor } from "../model/model.ts";
import { httpProxyRoutes } from "../model/names.ts";
import type { Interception } from "../model/proxy.ts";
import type { RouteTable } from "../model/route.ts";
import { isHttp, type Protocol, type Service } from "../model/service.ts";
import { domainsOf, domainsWithPort } from "./domains.ts";
import { createMemo } from "./memo.ts";
import { ownHttpProxyCluster } from "./plain-clusters.ts";
import type { Resource } from "./resource.ts";
import { assembleRouteTable } from "./route-table.ts";
import { type BuiltVirtualHost, buildVirtualHost } from "./virtual-host.ts";

/** Route tables of one namespace's callers. */
export interface Tables {
  /** A live canary's weights left to the runtime layer. */
  readonly runtime: readonly Resource[];
  /** All weights in the tables. */
  readonly plain: readonly Resource[];
  readonly keys: ReadonlyMap<string, number>;
}

/** A host and port with a virtual host of its own. */
interface Target {
  readonly host: string;
  readonly port: number;
  readonly domains: readonly string[];
  readonly table: RouteTable | undefined;
  readonly service: Service | undefined;
}

/** Port of hosts that a route table names and no Service has. */
const defaultPort = 80;

/** Makes the function that builds route tables; a virtual host is built again only where something of it changed. */
export function createTablesBuilder() {
  const hosts = createMemo<{ readonly runtime: BuiltVirtualHost; readonly plain: BuiltVirtualHost }>();
  const tables = createMemo<Resource>();

  function assemble(
    key: string,
    name: string,
    built: readonly BuiltVirtualHost[],
    model: Model,
    ignorePort: boolean,
  ): Resource {
    const { settings } = model;
    return tables.get(
      key,
      built.map(({ bytes }) => bytes),
      () => assembleRouteTable(name, built, settings, ignorePort),
    );
  }

  return {
    build(model: Model, namespace: string, interception: Interception): Tables {
      const proxied = interception === "NONE";
      const byTable = Map.groupBy(targets(model, namespace, proxied), ({ port }) =>
        proxied ? httpProxyRoutes : String(port),
      );
      if (proxied && byTable.size === 0) byTable.set(httpProxyRoutes, []);
      const keys = new Map<string, number>();
      const runtime: Resource[] = [];
      const plain: Resource[] = [];
      for (const [name, ofTable] of byTable) {
        const built = withoutRepeats(ofTable).map(({ host, port, domains, table, service }) => {
          const tunnel = proxied ? ownHttpProxyCluster : undefined;
          const input = { host, port, domains, table, services: model.services, tunnel };
          // Destinations are looked up among the Services, so a host with a route table depends on all of them.
          const inputs = [service, table, table && model.services, domains.length];
          return hosts.get(`${namespace} ${interception} ${host}:${port}`, inputs, () => {
            const plain = buildVirtualHost(input, false);
            return { plain, runtime: table?.live === undefined ? plain : buildVirtualHost(input, true) };
          });
        });
        for (const host of built) for (const [key, weight] of host.runtime.keys) keys.set(key, weight);
        const key = `${namespace} ${interception} ${name}`;
        const withKeys = built.map((host) => host.runtime);
        const withWeights = built.map((host) => host.plain);
        const differ = withKeys.some((host, index) => host !== withWeights[index]);
        const table = assemble(`${key} plain`, name, withWeights, model, !proxied);
        plain.push(table);
        runtime.push(differ ? assemble(`${key} runtime`, name, withKeys, model, !proxied) : table);
      }
      return { runtime, plain, keys };
    },
    sweep(): void {
      hosts.sweep();
      tables.sweep();
    },
  };
}

function routed(protocol: Protocol): boolean {
  return isHttp(protocol) || protocol === "undeclared";
}

/** Every Service's HTTP ports, and the hosts that only a route table knows. */
function targets(model: Model, namespace: string, proxied: boolean): Target[] {
  const spelled = (domains: readonly string[], port: number) =>
    proxied ? domainsWithPort(domains, port) : domains;
  const found: Target[] = [];
  for (const service of model.services.values()) {
    const table = routeTableFor(model.routes, service.host);
    const domains = domainsOf(service, namespace);
    for (const { number: port, protocol } of service.ports) {
      if (!routed(protocol)) continue;
      found.push({
        host: service.host,
        port,
        domains: spelled(domains, port),
        table: withHttp(table),
        service,
      });
    }
  }
  const named = new Set(model.routes.flatMap(({ hosts }) => hosts));
  for (const host of named) {
    const table = withHttp(routeTableFor(model.routes, host));
    if (model.services.has(host) || host === "*" || table === undefined) continue;
    found.push({ host, port: defaultPort, domains: spelled([host], defaultPort), table, service: undefined });
  }
  return found.sort((a, b) => (a.host < b.host ? -1 : a.host > b.host ? 1 : a.port - b.port));
}

/** A table without HTTP routes leaves HTTP as it is. */
function withHttp(table: RouteTable | undefined): RouteTable | undefined {
  return table !== undefined && table.http.length > 0 ? table : undefined;
}

/** Envoy refuses a table in which two hosts claim one domain: the first keeps it. */
function withoutRepeats(found: readonly Target[]): Target[] {
  const seen = new Set<string>();
  return found.flatMap((target) => {
    const domains = target.domains.filter((domain) => !seen.has(domain));
    for (const domain of domains) seen.add(domain);
    return domains.length === 0 ? [] : [{ ...target, domains }];
  });
}
