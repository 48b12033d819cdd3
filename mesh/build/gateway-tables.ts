import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  VirtualHost_TlsRequirementType as TlsRequirement,
  VirtualHostSchema,
} from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../../envoy/generated/envoy/config/route/v3/route_pb.js";
import type { Caller } from "../model/caller.ts";
import type { GatewayPlan, PlannedListener } from "../model/gateway-plan.ts";
import { type GatewayHost, gatewayRouteTable, hostsOf } from "../model/gateway-routes.ts";
import type { Model } from "../model/model.ts";
import type { HttpRoute, RouteTable } from "../model/route.ts";
import { byPrecedence } from "../model/route-precedence.ts";
import { createMemo } from "./memo.ts";
import { encodeBytes, isSameVersion, type Resource, type Sourced } from "./resource.ts";
import { encodeShields, type ShieldCluster } from "./shield.ts";
import type { Tables } from "./tables.ts";
import { type BuiltVirtualHost, buildVirtualHost, waysOfHost } from "./virtual-host.ts";
import { type WayTo, waysOf } from "./ways.ts";

/** A virtual host with all tables that it was made of. */
interface BuiltHost {
  readonly runtime: BuiltVirtualHost;
  readonly plain: BuiltVirtualHost;
  readonly sources: readonly RouteTable[];
}

/** Makes the function that builds the route tables of a gateway's proxies; a host is built again only where it changed. */
export function createGatewayTablesBuilder() {
  const hosts = createMemo<BuiltHost>();
  const tables = createMemo<Resource>(isSameVersion);

  function buildHost(key: string, caller: Caller, wayTo: WayTo, port: number, host: GatewayHost): BuiltHost {
    const [first] = host.tables;
    const at = { host: host.host, port };
    const ways = host.tables.flatMap((table) => waysOfHost({ ...at, table }, wayTo));
    const inputs = [host.redirectToHttps, host.misdirected, host.tables.length, ...host.tables, ...ways];
    return hosts.get(key, inputs, () => {
      const table = first && { ...first, http: mergeRoutes(host.tables), live: liveOf(host.tables) };
      const input = {
        ...{ ...at, domains: [host.host], table: table ?? emptyTable, wayTo, tunnel: undefined },
        knowsShields: caller.knowsShields !== false,
      };
      const build = (runtime: boolean) => finish(buildVirtualHost(input, runtime), host);
      const plain = build(false);
      return { plain, runtime: table?.live === undefined ? plain : build(true), sources: host.tables };
    });
  }

  return {
    build(model: Model, caller: Caller, plan: GatewayPlan): Tables {
      const wayTo = waysOf(model, caller);
      const scope = caller.key;
      const keys = new Map<string, number>();
      const shields = new Map<string, ShieldCluster>();
      const runtime: Resource[] = [];
      const later: (() => Resource)[] = [];
      for (const [name, listener, bound] of plannedTables(plan)) {
        const found = hostsOf(model, caller, listener, bound);
        const port = bound[0]?.server.port ?? listener.number;
        const built = found.map((host) =>
          buildHost(`${scope} ${name} ${host.host}`, caller, wayTo, port, host),
        );
        for (const { runtime: host } of built) {
          for (const [key, weight] of host.keys) keys.set(key, weight);
          for (const shield of host.shields) shields.set(shield.name, shield);
        }
        const assemble = (kind: "runtime" | "plain") =>
          tables.get(
            `${scope} ${name} ${kind}`,
            built.map((host) => host[kind].bytes),
            () => assembleTable(name, built, kind),
          );
        const table = assemble("runtime");
        runtime.push(table);
        const differ = built.some((host) => host.runtime !== host.plain);
        later.push(() => (differ ? assemble("plain") : table));
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
    },
    /** Forgets what no gateway asked for since the call before. */
    sweep(): void {
      hosts.sweep();
      tables.sweep();
    },
  };
}

/** A route table each for the plain servers of a port, and for each server that ends TLS. */
function* plannedTables(
  plan: GatewayPlan,
): Generator<readonly [string, PlannedListener, PlannedListener["servers"]]> {
  for (const listener of plan.listeners) {
    if (listener.kind === "http") yield [gatewayRouteTable(listener), listener, listener.servers];
    for (const bound of listener.kind === "tls" ? listener.servers : []) {
      if (bound.server.protocol === "https") yield [gatewayRouteTable(listener, bound), listener, [bound]];
    }
  }
}

const emptyTable: RouteTable = {
  source: { kind: "Gateway", name: "" },
  namespace: "",
  hosts: [],
  gateways: [],
  exportTo: undefined,
  http: [],
  tls: [],
  tcp: [],
  live: undefined,
  createdAt: "",
};

/**
 * The routes of several tables for one host: those of the Gateway API by precedence; else one after the other, oldest
 * first, with routes that take everything at the end.
 */
function mergeRoutes(tables: readonly RouteTable[]): readonly HttpRoute[] {
  const [only] = tables;
  const ranked = tables.filter((table) => table.ranked);
  if (tables.length === 1 && ranked.length === 0) return only?.http ?? [];
  const routes = tables.filter((table) => !table.ranked).flatMap(({ http }) => http);
  const takesAll = ({ matches }: HttpRoute) => matches.length === 0;
  return [...routes.filter((route) => !takesAll(route)), ...byPrecedence(ranked), ...routes.filter(takesAll)];
}

function liveOf(tables: readonly RouteTable[]): RouteTable["live"] {
  return tables.find(({ live }) => live !== undefined)?.live;
}

/** What a gateway's host has more than a sidecar's. Fields of a message that are written later win or are added. */
function finish(built: BuiltVirtualHost, { redirectToHttps, misdirected }: GatewayHost): BuiltVirtualHost {
  if (!redirectToHttps && !misdirected) return built;
  const more = create(VirtualHostSchema, {
    ...(redirectToHttps && { requireTls: TlsRequirement.ALL }),
    ...(misdirected && {
      routes: [
        {
          name: "misdirected",
          match: { pathSpecifier: { case: "prefix", value: "/" } },
          action: { case: "directResponse", value: { status: 421 } },
        },
      ],
    }),
  });
  const bytes = Buffer.concat([built.bytes, toBinary(VirtualHostSchema, more)]);
  return { ...built, bytes };
}

/** A host that nobody has is answered with 404, by Envoy itself. @see envoy.config.route.v3.RouteConfiguration */
function assembleTable(name: string, hosts: readonly BuiltHost[], kind: "runtime" | "plain"): Resource {
  const frame = create(RouteConfigurationSchema, {
    name,
    validateClusters: false,
    ignorePortInHostMatching: true,
    maxDirectResponseBodySizeBytes: 1024 * 1024,
  });
  const writer = new BinaryWriter().raw(toBinary(RouteConfigurationSchema, frame));
  for (const host of hosts) writer.tag(2, WireType.LengthDelimited).bytes(host[kind].bytes);
  const sources = new Set<Sourced>(hosts.flatMap((host) => host.sources));
  return encodeBytes("route", name, writer.finish(), sources);
}
