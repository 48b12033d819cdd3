import { runAnnotation } from "../../../api/annotations.ts";
import { GRPCRouteKind, HTTPRouteKind, TCPRouteKind, TLSRouteKind } from "../../../api/kinds.ts";
import { type KubeObject, refOf } from "../../../api/resource.ts";
import type { Snapshot } from "../../../kube/contract.ts";
import { mesh } from "../../model/caller.ts";
import { serviceHost } from "../../model/names.ts";
import type { Destination, HttpRoute, RouteTable } from "../../model/route.ts";
import { byPrecedence } from "../../model/route-precedence.ts";
import { reportOn } from "../problem.ts";
import { readRunMark } from "../virtual-service.ts";
import { attach, isGatewayRef, isServiceRef, type LabelsOf } from "./attach.ts";
import {
  type BackendRef,
  invalidBackend,
  type RouteSurroundings,
  resolveBackend,
  unchangedHeaders,
} from "./backend.ts";
import {
  condition,
  conditionsOf,
  gatewayGroup,
  type ParentRef,
  type ParentStatus,
  type RouteStatus,
  type Unresolved,
} from "./conditions.ts";
import { readGrpcMatches } from "./grpc-route.ts";
import { readHttpMatches, readRule } from "./http-route.ts";
import type { ReadGateway } from "./listeners.ts";

export interface ReadRoutes {
  readonly tables: readonly RouteTable[];
  readonly statuses: readonly RouteStatus[];
  /** Number of routes by listener's id. */
  readonly attached: ReadonlyMap<string, number>;
  /** Gateways by host of the Services that their routes lead to. */
  readonly ancestors: ReadonlyMap<string, readonly ParentRef[]>;
}

type Surroundings = Omit<RouteSurroundings, "kind" | "namespace" | "hostnames"> & {
  readonly labelsOf: LabelsOf;
};

/** What a route of any kind says once its references are looked up. */
interface Content {
  readonly http: readonly HttpRoute[];
  readonly tls: RouteTable["tls"];
  readonly tcp: RouteTable["tcp"];
  /** Of the bytes inside, where a gateway ends TLS itself. */
  readonly inside: RouteTable["tcp"];
  readonly faults: readonly Unresolved[];
}

interface Route {
  readonly object: KubeObject;
  readonly kind: string;
  readonly hostnames: readonly string[];
  readonly parentRefs: readonly ParentRef[];
  readonly content: (around: RouteSurroundings) => Content;
}

/** Attaches all routes to our gateways and to Services. */
export function readRoutes(
  snapshot: Snapshot,
  gateways: readonly ReadGateway[],
  around: Surroundings,
): ReadRoutes {
  const byName = new Map(gateways.map((one) => [`${one.gateway.namespace}/${one.gateway.name}`, one]));
  const tables: RouteTable[] = [];
  const forServices: RouteTable[] = [];
  const statuses: RouteStatus[] = [];
  const attached = new Map<string, number>();
  const ancestors = new Map<string, ParentRef[]>();
  for (const route of allRoutes(snapshot)) {
    const { metadata } = route.object;
    const { namespace = "default" } = metadata;
    const content = route.content({ ...around, kind: route.kind, namespace, hostnames: route.hostnames });
    const told = conditionsOf(content.faults);
    const parents: ParentStatus[] = [];
    const ids = new Set<string>();
    for (const parentRef of route.parentRefs) {
      const parentNamespace = parentRef.namespace ?? namespace;
      if (isGatewayRef(parentRef)) {
        const parent = byName.get(`${parentNamespace}/${parentRef.name}`);
        if (parent === undefined) continue;
        const { listeners, accepted } = attach({ ...route, namespace }, parentRef, parent, around.labelsOf);
        for (const { routeId } of listeners) {
          if (!ids.has(routeId)) attached.set(routeId, (attached.get(routeId) ?? 0) + 1);
          ids.add(routeId);
        }
        parents.push({ parentRef, conditions: [accepted, ...told] });
        const gateway = {
          group: gatewayGroup,
          kind: "Gateway",
          namespace: parentNamespace,
          name: parentRef.name,
        };
        for (const host of hostsIn(content)) ancestors.set(host, [...(ancestors.get(host) ?? []), gateway]);
      } else if (isServiceRef(parentRef)) {
        const host = serviceHost(parentRef.name, parentNamespace, around.domain);
        const known = around.services.has(host);
        const accepted = known
          ? condition("Accepted", true, "Accepted")
          : condition(
              "Accepted",
              false,
              "NoMatchingParent",
              `no Service \`${parentNamespace}/${parentRef.name}\` exists`,
            );
        parents.push({ parentRef, conditions: [accepted, ...told] });
        if (known)
          forServices.push(
            tableFor(route, content, [mesh], [host], parentRef, namespace === parentNamespace),
          );
      }
    }
    if (parents.length > 0) statuses.push({ route: refOf(route.object), parents });
    if (ids.size > 0) {
      const hosts = route.hostnames.length === 0 ? ["*"] : route.hostnames.map((name) => name.toLowerCase());
      tables.push(tableFor(route, content, [...ids], hosts, undefined, true));
    }
  }
  return { tables: [...mergeForServices(forServices), ...tables], statuses, attached, ancestors };
}

/** Routes of one Service for the same callers are one table, sorted: a caller's own namespace's come before all. */
function mergeForServices(tables: readonly RouteTable[]): RouteTable[] {
  const groups = Map.groupBy(tables, ({ hosts, exportTo }) => JSON.stringify([hosts, exportTo]));
  const merged = [...groups.values()].flatMap((group) => {
    const [oldest] = group.toSorted((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
    if (oldest === undefined) return [];
    return [
      {
        ...oldest,
        http: byPrecedence(group),
        tls: group.flatMap(({ tls }) => tls),
        tcp: group.flatMap(({ tcp }) => tcp),
      },
    ];
  });
  return merged.toSorted((a, b) => Number(a.exportTo === undefined) - Number(b.exportTo === undefined));
}

/** @param everyone whether callers of all namespaces follow it: a route beside its Service; else its own namespace's */
function tableFor(
  { object }: Route,
  { http, tls, tcp, inside }: Content,
  gateways: readonly string[],
  hosts: readonly string[],
  parentRef: ParentRef | undefined,
  everyone: boolean,
): RouteTable {
  const { namespace = "default", creationTimestamp = "" } = object.metadata;
  const port = parentRef?.port;
  const onPort = <R extends { readonly matches: readonly { readonly port: number | undefined }[] }>(
    routes: readonly R[],
  ): readonly R[] =>
    port === undefined
      ? routes
      : routes.map((route) => ({ ...route, matches: route.matches.map((match) => ({ ...match, port })) }));
  const ofGateway = parentRef === undefined;
  return {
    source: refOf(object),
    namespace,
    hosts,
    gateways,
    exportTo: everyone ? undefined : [namespace],
    http: onPort(http),
    tls: onPort(tls),
    tcp: onPort(ofGateway ? [...tcp, ...inside] : tcp),
    live: liveOf(object),
    ranked: true,
    createdAt: creationTimestamp,
  };
}

/** The run that is being judged on this route; a mark that cannot be read is none. */
function liveOf(object: KubeObject): RouteTable["live"] {
  const mark = object.metadata.annotations?.[runAnnotation];
  return mark === undefined ? undefined : readRunMark(mark, reportOn(refOf(object), []));
}

function hostsIn({ http, tls, tcp }: Content): Set<string> {
  const destinations = [
    ...http.flatMap(({ action }) => (action.kind === "forward" ? action.destinations : [])),
    ...tls.flatMap((route) => route.destinations),
    ...tcp.flatMap((route) => route.destinations),
  ];
  return new Set(destinations.map(({ host }) => host).filter((host) => host !== invalidBackend));
}

const noContent = { http: [], tls: [], tcp: [], inside: [] };
const anyConnection = {
  destinationSubnets: [],
  sourceSubnet: undefined,
  port: undefined,
  callers: undefined,
};

function* allRoutes(snapshot: Snapshot): Generator<Route> {
  for (const object of snapshot.list(HTTPRouteKind)) {
    const { hostnames = [], parentRefs = [], rules = [{}] } = object.spec;
    yield {
      ...{ object, kind: "HTTPRoute", hostnames, parentRefs },
      content: (around) => {
        const faults: Unresolved[] = [];
        const http = rules.flatMap((rule, index) => {
          const { filters = [], backendRefs = [] } = rule;
          const matches = readHttpMatches(rule.matches);
          return readRule({ ...rule, matches, filters, backendRefs }, index, around, faults);
        });
        return { ...noContent, http, faults };
      },
    };
  }
  for (const object of snapshot.list(GRPCRouteKind)) {
    const { hostnames = [], parentRefs = [], rules = [{}] } = object.spec;
    yield {
      ...{ object, kind: "GRPCRoute", hostnames, parentRefs },
      content: (around) => {
        const faults: Unresolved[] = [];
        const http = rules.flatMap((rule, index) => {
          const { name, filters = [], backendRefs = [] } = rule;
          const matches = readGrpcMatches(rule.matches);
          const read = { ...(name !== undefined && { name }), matches, filters, backendRefs };
          return readRule(read, index, around, faults);
        });
        return { ...noContent, http, faults };
      },
    };
  }
  for (const object of snapshot.list(TLSRouteKind)) {
    const { hostnames, parentRefs = [], rules } = object.spec;
    yield {
      ...{ object, kind: "TLSRoute", hostnames, parentRefs },
      content: (around) => {
        const faults: Unresolved[] = [];
        const tls = rules.map(({ backendRefs }, position) => ({
          position,
          matches: [{ ...anyConnection, serverNames: hostnames }],
          destinations: readStream(backendRefs, around, faults),
        }));
        const inside = tls.map(({ position, destinations }) => ({ position, matches: [], destinations }));
        return { ...noContent, tls, inside, faults };
      },
    };
  }
  for (const object of snapshot.list(TCPRouteKind)) {
    const { parentRefs = [], rules } = object.spec;
    yield {
      ...{ object, kind: "TCPRoute", hostnames: [], parentRefs },
      content: (around) => {
        const faults: Unresolved[] = [];
        const tcp = rules.map(({ backendRefs }, position) => ({
          position,
          matches: [anyConnection],
          destinations: readStream(backendRefs, around, faults),
        }));
        return { ...noContent, tcp, faults };
      },
    };
  }
}

function readStream(
  refs: readonly (BackendRef & { readonly weight?: number })[],
  around: RouteSurroundings,
  faults: Unresolved[],
): Destination[] {
  return refs.map(({ weight, ...ref }) => ({
    ...resolveBackend(ref, around, faults),
    weight: weight ?? 1,
    headers: unchangedHeaders,
  }));
}
