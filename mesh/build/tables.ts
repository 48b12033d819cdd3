import { type Caller, isVisible, routesFor } from "../model/caller.ts";
import { type Model, routeTableFor } from "../model/model.ts";
import { httpProxyRoutes } from "../model/names.ts";
import type { Interception } from "../model/proxy.ts";
import type { RouteTable } from "../model/route.ts";
import { isRouted, type Service } from "../model/service.ts";
import { bindsPort } from "../model/sidecar.ts";
import { domainsOf, domainsWithPort } from "./domains.ts";
import { createMemo } from "./memo.ts";
import { ownHttpProxyCluster } from "./plain-clusters.ts";
import { isSameVersion, type Resource } from "./resource.ts";
import { assembleRouteTable } from "./route-table.ts";
import { encodeShields, type ShieldCluster } from "./shield.ts";
import { type BuiltVirtualHost, buildVirtualHost, waysOfHost } from "./virtual-host.ts";
import { waysOf } from "./ways.ts";

/** Route tables of one namespace's callers. The same object while nothing of them can have changed. */
export interface Tables {
  /** A live canary's weights left to the runtime layer. */
  readonly runtime: readonly Resource[];
  /** All weights in the tables; built when first asked for, as proxies of our own never do. */
  readonly plain: () => readonly Resource[];
  readonly keys: ReadonlyMap<string, number>;
  /** Composite clusters that the tables lead to. */
  readonly shields: readonly Resource[];
}

/** A host and port with a virtual host of its own. */
interface Target {
  readonly host: string;
  readonly port: number;
  readonly domains: readonly string[];
  readonly table: RouteTable | undefined;
  readonly service: Service | undefined;
}

/** A virtual host with a live canary's weights left to the runtime layer, and with all weights in it. */
interface Forms {
  readonly runtime: BuiltVirtualHost;
  readonly plain: BuiltVirtualHost;
}

interface HostOfTable extends Forms {
  /** What it is remembered by. */
  readonly key: string;
  readonly target: Target;
}

/** A table's virtual hosts, in order. */
interface TableParts {
  readonly name: string;
  readonly hosts: readonly HostOfTable[];
}

/** A caller's tables, and what they were built from. */
interface Built {
  readonly model: Model;
  readonly parts: readonly TableParts[];
  readonly tables: Tables;
}

/** Port of hosts that a route table names and no Service has. */
const defaultPort = 80;

/** Makes the function that builds route tables; a virtual host is built again only where something of it changed. */
export function createTablesBuilder() {
  const hosts = createMemo<Forms>();
  const tables = createMemo<Resource>(isSameVersion);
  const built = new Map<string, Built>();

  function assemble(
    key: string,
    name: string,
    virtualHosts: readonly BuiltVirtualHost[],
    { settings }: Model,
    ignorePort: boolean,
  ): Resource {
    return tables.get(
      key,
      virtualHosts.map(({ bytes }) => bytes),
      () => assembleRouteTable(name, virtualHosts, settings, ignorePort),
    );
  }

  function buildTables(model: Model, caller: Caller, interception: Interception): readonly TableParts[] {
    const proxied = interception === "NONE";
    const byTable = Map.groupBy(targets(model, caller, proxied), ({ port }) =>
      proxied ? httpProxyRoutes : String(port),
    );
    if (proxied && byTable.size === 0) byTable.set(httpProxyRoutes, []);
    const bound = proxied ? boundPorts(model) : noPorts;
    for (const target of bound.size === 0 ? [] : targets(model, caller, false)) {
      if (!bound.has(target.port)) continue;
      const name = String(target.port);
      byTable.set(name, [...(byTable.get(name) ?? []), target]);
    }
    return Array.from(byTable, ([name, ofTable]) => ({
      name,
      hosts: withoutRepeats(ofTable).map((target) => buildHost(target, name, model, caller, interception)),
    }));
  }

  function buildHost(
    target: Target,
    tableName: string,
    model: Model,
    caller: Caller,
    interception: Interception,
  ): HostOfTable {
    const { host, port, domains, table, service } = target;
    const isProxy = tableName === httpProxyRoutes;
    const wayTo = waysOf(model, caller);
    const tunnel = isProxy ? ownHttpProxyCluster : undefined;
    const input = {
      ...{ host, port, domains, table, wayTo, tunnel },
      knowsShields: caller.knowsShields !== false,
    };
    const inputs = [service, table, domains.length, ...waysOfHost(input, wayTo)];
    const key = `${caller.key} ${interception} ${isProxy} ${host}:${port}`;
    const forms = hosts.get(key, inputs, () => {
      const plain = buildVirtualHost(input, false);
      return { plain, runtime: table?.live === undefined ? plain : buildVirtualHost(input, true) };
    });
    return { key, target, ...forms };
  }

  function assembleAll(
    parts: readonly TableParts[],
    model: Model,
    caller: Caller,
    interception: Interception,
  ): Tables {
    const keys = new Map<string, number>();
    const shields = new Map<string, ShieldCluster>();
    const runtime: Resource[] = [];
    const later: (() => Resource)[] = [];
    for (const { name, hosts: ofHosts } of parts) {
      const isProxy = name === httpProxyRoutes;
      for (const { runtime: host } of ofHosts) {
        for (const [key, weight] of host.keys) keys.set(key, weight);
        for (const shield of host.shields) shields.set(shield.name, shield);
      }
      const key = `${caller.key} ${interception} ${name}`;
      const withKeys = ofHosts.map((host) => host.runtime);
      const withWeights = ofHosts.map((host) => host.plain);
      const table = assemble(`${key} runtime`, name, withKeys, model, !isProxy);
      runtime.push(table);
      const differ = withKeys.some((host, index) => host !== withWeights[index]);
      later.push(() => (differ ? assemble(`${key} plain`, name, withWeights, model, !isProxy) : table));
    }
    let plain: readonly Resource[] | undefined;
    return {
      runtime,
      keys,
      shields: encodeShields(shields),
      plain: () => {
        plain ??= later.map((build) => build());
        return plain;
      },
    };
  }

  /** What only the routes of some tables change; undefined where more differs, e.g. which host has which table. */
  function changeTables(
    { model: from, parts }: Built,
    model: Model,
    caller: Caller,
    interception: Interception,
  ): readonly TableParts[] | undefined {
    if (isReachedOtherwise(from, model)) return undefined;
    const replaced = replacedTables(routesFor(from.routes, caller), routesFor(model.routes, caller));
    if (replaced === undefined) return undefined;
    return parts.map(({ name, hosts: ofHosts }) => ({
      name,
      hosts: ofHosts.map((one) => {
        const table = one.target.table && replaced.get(one.target.table);
        if (table !== undefined)
          return buildHost({ ...one.target, table }, name, model, caller, interception);
        hosts.keep(one.key);
        return one;
      }),
    }));
  }

  return {
    build(model: Model, caller: Caller, interception: Interception): Tables {
      const scope = `${caller.key} ${interception}`;
      const before = built.get(scope);
      if (before !== undefined && !isRoutedOtherwise(before.model, model)) return before.tables;
      const parts =
        (before && changeTables(before, model, caller, interception)) ??
        buildTables(model, caller, interception);
      const after = { model, parts, tables: assembleAll(parts, model, caller, interception) };
      built.set(scope, after);
      return after.tables;
    },
    /** The mesh turns from one model to another: forgets what nobody asked for under the one before. */
    turn(from: Model | undefined, to: Model): void {
      if (from === undefined || !isRoutedOtherwise(from, to)) return;
      hosts.sweep();
      tables.sweep();
    },
    /** Nobody like this caller, of this interception mode, is connected any more. */
    forget: ({ key }: Caller, interception: Interception): boolean => built.delete(`${key} ${interception}`),
  };
}

function isRoutedOtherwise(before: Model, after: Model): boolean {
  return before.routes !== after.routes || isReachedOtherwise(before, after);
}

function isReachedOtherwise(before: Model, after: Model): boolean {
  return (
    before.services !== after.services ||
    before.egress !== after.egress ||
    before.policies !== after.policies ||
    before.settings !== after.settings
  );
}

/**
 * Route tables by those that stood in their places before: of the same hosts, so that nothing but their routes differs.
 * undefined where more than that has changed.
 */
function replacedTables(
  before: readonly RouteTable[],
  after: readonly RouteTable[],
): ReadonlyMap<RouteTable, RouteTable> | undefined {
  if (before.length !== after.length) return undefined;
  const replaced = new Map<RouteTable, RouteTable>();
  for (const [index, table] of after.entries()) {
    const old = before[index];
    if (old === table) continue;
    const same =
      old !== undefined &&
      old.hosts.length === table.hosts.length &&
      old.hosts.every((host, place) => host === table.hosts[place]) &&
      withHttp(old) !== undefined &&
      withHttp(table) !== undefined;
    if (!same) return undefined;
    replaced.set(old, table);
  }
  return replaced;
}

const noPorts: ReadonlySet<number> = new Set();

/** Ports that a Sidecar's listeners bind beside the HTTP proxy. */
function boundPorts({ egress = [] }: Model): ReadonlySet<number> {
  return new Set(
    egress.flatMap((listener) => (listener.port && bindsPort(listener, "NONE") ? listener.port.number : [])),
  );
}

/** Every Service's HTTP ports, and the hosts that only a route table knows. */
function targets(model: Model, caller: Caller, proxied: boolean): Target[] {
  const { namespace } = caller;
  const routes = routesFor(model.routes, caller);
  const spelled = (domains: readonly string[], port: number) =>
    proxied ? domainsWithPort(domains, port) : domains;
  const found: Target[] = [];
  for (const service of model.services.values()) {
    if (!isVisible(service.exportTo, namespace)) continue;
    const table = routeTableFor(routes, service.host);
    const domains = domainsOf(service, namespace);
    for (const { number: port, protocol } of service.ports) {
      if (!isRouted(protocol)) continue;
      found.push({
        host: service.host,
        port,
        domains: spelled(domains, port),
        table: withHttp(table),
        service,
      });
    }
  }
  const named = new Set(routes.flatMap(({ hosts }) => hosts));
  for (const host of named) {
    const table = withHttp(routeTableFor(routes, host));
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
