import { create, toBinary } from "@bufbuild/protobuf";
import {
  type Route,
  RouteSchema,
  VirtualHostSchema,
} from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import type { Forward, HttpRoute, RouteTable } from "../model/route.ts";
import { defaultRoute } from "./default-route.ts";
import { mirrorFractions, weightsBeside } from "./fraction.ts";
import { liveWeights, plainWeights, type RouteWeights } from "./live-canary.ts";
import { buildRoutes } from "./route.ts";
import { type ShieldCluster, shieldRoute } from "./shield.ts";
import type { WayTo } from "./ways.ts";

/** A host and port as callers address it. */
export interface VirtualHostInput {
  readonly host: string;
  readonly port: number;
  readonly domains: readonly string[];
  readonly table: RouteTable | undefined;
  readonly wayTo: WayTo;
  /** Cluster that a CONNECT to this host is passed to; none where there is no HTTP proxy. */
  readonly tunnel: string | undefined;
  /** Whether the proxy knows composite clusters; else no run has its shield there. */
  readonly knowsShields: boolean;
}

/** An encoded virtual host, the runtime keys that its routes read and the composite clusters that they lead to. */
export interface BuiltVirtualHost {
  readonly bytes: Uint8Array;
  readonly keys: readonly (readonly [string, number])[];
  readonly shields: readonly ShieldCluster[];
  readonly table: RouteTable | undefined;
}

/**
 * Builds one virtual host, `<host>:<port>`.
 *
 * @param runtime whether a live canary's weights are left to the runtime layer
 * @see envoy.config.route.v3.VirtualHost
 */
export function buildVirtualHost(input: VirtualHostInput, runtime: boolean): BuiltVirtualHost {
  const { host, port, domains, table, wayTo, tunnel, knowsShields } = input;
  const clusterOf = (destination: Target) => wayTo(destination, port).cluster;
  const keys = new Map<string, number>();
  const shields = new Map<string, ShieldCluster>();
  const weightsOf = (action: Forward): RouteWeights => {
    const { destinations, mirrors } = action;
    const total = weightsBeside(mirrorFractions(mirrors.map(({ percent }) => percent)));
    const live = table?.live;
    const shield = live && knowsShields ? shieldRoute(action, live, clusterOf) : undefined;
    if (shield !== undefined) shields.set(shield.cluster.name, shield.cluster);
    if (!runtime || live === undefined) return plainWeights(destinations, clusterOf, total, shield);
    const weights = liveWeights(live, destinations, clusterOf, total, shield);
    // Two routes that split alike share the keys; one that splits otherwise keeps its weights in the table.
    if (weights.keys.some(([key, value]) => (keys.get(key) ?? value) !== value))
      return plainWeights(destinations, clusterOf, total, shield);
    for (const [key, value] of weights.keys) keys.set(key, value);
    return weights;
  };
  const routes: Route[] = [];
  if (tunnel !== undefined) routes.push(tunnelRoute(tunnel));
  for (const route of table?.http ?? [defaultRoute(host, port)]) {
    const forPort = onPort(route, port);
    if (forPort === undefined) continue;
    const weights = route.action.kind === "forward" ? weightsOf(route.action) : undefined;
    const live = weights !== undefined && leadsToAnArm(table, route) ? table?.live : undefined;
    const ways =
      route.action.kind === "forward" ? route.action.destinations.map((to) => wayTo(to, port)) : [];
    routes.push(
      ...buildRoutes(forPort, {
        weights,
        clusterOf,
        live,
        port,
        hashes: [...new Set(ways.flatMap(({ hash }) => hash ?? []))],
        asAsked: ways.length > 0 && ways.every(({ asAsked }) => asAsked),
      }),
    );
  }
  const message = create(VirtualHostSchema, {
    name: `${host}:${port}`,
    domains: [...domains],
    routes,
    includeRequestAttemptCount: true,
  });
  return {
    bytes: toBinary(VirtualHostSchema, message),
    keys: [...keys],
    shields: [...shields.values()],
    table,
  };
}

type Target = Parameters<WayTo>[0];

/** All that a host's routes depend on of how their destinations are reached, for comparing. */
export function waysOfHost(
  { host, port, table }: Pick<VirtualHostInput, "host" | "port" | "table">,
  wayTo: WayTo,
) {
  const targets: readonly Target[] =
    table === undefined
      ? [{ host, port, subset: undefined }]
      : table.http.flatMap(({ action }) =>
          action.kind === "forward"
            ? [...action.destinations, ...action.mirrors.map(({ destination }) => destination)]
            : [],
        );
  return targets.flatMap((target) => {
    const { cluster, hash, asAsked } = wayTo(target, port);
    return [cluster, hash, asAsked];
  });
}

/** The route with the matches that can fit on this port; undefined where none can. */
function onPort(route: HttpRoute, port: number): HttpRoute | undefined {
  const matches = route.matches.filter((match) => match.port === undefined || match.port === port);
  if (matches.length === 0 && route.matches.length > 0) return undefined;
  return matches.length === route.matches.length ? route : { ...route, matches };
}

/** Whether attempts on this route tell of the run: it leads to one of its arms at least. */
function leadsToAnArm(table: RouteTable | undefined, { action }: HttpRoute): boolean {
  const live = table?.live;
  if (live === undefined || action.kind !== "forward") return false;
  return action.destinations.some(({ host }) => host === live.canaryHost || host === live.primaryHost);
}

/** Clients that tunnel plain HTTP through the proxy (CONNECT) come back to it with the request inside. */
function tunnelRoute(cluster: string): Route {
  return create(RouteSchema, {
    match: { pathSpecifier: { case: "connectMatcher", value: {} } },
    action: {
      case: "route",
      value: {
        clusterSpecifier: { case: "cluster", value: cluster },
        timeout: { seconds: 0n, nanos: 0 },
        upgradeConfigs: [{ upgradeType: "CONNECT", connectConfig: {} }],
      },
    },
  });
}
