import type { DestinationPolicy, TrafficPolicy } from "./destination-policy.ts";
import { type Located, labelOf, localityText } from "./locality.ts";
import type { Model } from "./model.ts";
import type { Proxy } from "./proxy.ts";
import type { CallerMatch, ConnectionMatch, HttpMatch, RouteTable } from "./route.ts";
import { selects } from "./workload.ts";

/**
 * Who calls, as far as routes, policies and Services tell callers apart: proxies whose callers have the same key are
 * served the same routes and clusters.
 */
export interface Caller extends Located {
  readonly key: string;
  readonly namespace: string;
  /** Those of the model's selectors that its labels carry, see {@link selectorText}. */
  readonly selected: ReadonlySet<string>;
  /** `mesh` for a sidecar; a gateway's own Gateways, `<namespace>/<name>`. */
  readonly gateways: readonly string[];
  /** SDS name of the certificate that a gateway shows to backends of TLS; part of the key. */
  readonly clientSecret?: string | undefined;
  /** False for a proxy without composite clusters, which no shield is built of; part of the key. */
  readonly knowsShields?: false | undefined;
}

export const mesh = "mesh";

/** A caller of a namespace of which nothing else is known. */
export function anyCaller(namespace: string): Caller {
  return {
    key: namespace,
    namespace,
    selected: new Set(),
    gateways: [mesh],
    locality: undefined,
    labels: {},
  };
}

/** A sidecar as a caller. Its locality and labels count where a policy asks for them. */
export function callerOf(
  model: Pick<Model, "routes" | "policies">,
  proxy: Pick<Proxy, "namespace" | "labels" | "locality">,
): Caller {
  const { namespace } = proxy;
  const selected = selectorsOf(model)
    .filter((selector) => selects(selector, proxy.labels))
    .map(selectorText)
    .sort();
  const { byLocality, byLabels } = localitiesIn(model.policies);
  const labels = Object.fromEntries(byLabels.map((name) => [name, labelOf(proxy, name)]));
  const locality = byLocality ? proxy.locality : undefined;
  const parts = [
    namespace,
    ...selected,
    ...(locality === undefined ? [] : [`@${localityText(locality)}`]),
    ...byLabels.map((name) => `${name}:${labels[name]}`),
  ];
  if (parts.length === 1) return anyCaller(namespace);
  return {
    key: parts.join(" "),
    namespace,
    selected: new Set(selected),
    gateways: [mesh],
    locality,
    labels,
  };
}

/** A selector as one text, the same for the same labels. */
export function selectorText(selector: Readonly<Record<string, string>>): string {
  return Object.entries(selector)
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(",");
}

/** Whether something with this `exportTo` is for callers of `namespace`. */
export function isVisible(exportTo: readonly string[] | undefined, namespace: string): boolean {
  return exportTo === undefined || exportTo.includes(namespace);
}

/**
 * The route tables that a caller sees, each with what is for this caller only. The same array for the same tables and
 * key; a table that is alike for all callers is the very object of the model.
 */
export function routesFor(routes: readonly RouteTable[], caller: Caller): readonly RouteTable[] {
  const known = tablesFor.get(routes) ?? new Map<string, readonly RouteTable[]>();
  tablesFor.set(routes, known);
  const before = known.get(caller.key);
  if (before !== undefined) return before;
  const narrowed = routes.flatMap((table) => narrow(table, caller) ?? []);
  const same = narrowed.length === routes.length && narrowed.every((table, index) => table === routes[index]);
  const after = same ? routes : narrowed;
  known.set(caller.key, after);
  return after;
}

const tablesFor = new WeakMap<readonly RouteTable[], Map<string, readonly RouteTable[]>>();
const narrowedFor = new WeakMap<RouteTable, Map<string, RouteTable | undefined>>();

function narrow(table: RouteTable, caller: Caller): RouteTable | undefined {
  if (!isVisible(table.exportTo, caller.namespace)) return undefined;
  const bound = table.gateways.some((gateway) => caller.gateways.includes(gateway));
  if (!tellsApart(table)) return bound ? table : undefined;
  const known = narrowedFor.get(table) ?? new Map<string, RouteTable | undefined>();
  narrowedFor.set(table, known);
  if (known.has(caller.key)) return known.get(caller.key);
  const narrowAll = <Route extends { readonly matches: readonly Match[] }>(routes: readonly Route[]) =>
    routes.flatMap((route) => narrowRoute(route, caller, bound) ?? []);
  const [http, tls, tcp] = [narrowAll(table.http), narrowAll(table.tls), narrowAll(table.tcp)];
  // A table whose routes are all for others claims no host of this caller's.
  const isEmpty = http.length + tls.length + tcp.length === 0;
  const narrowed = isEmpty ? undefined : { ...table, http, tls, tcp };
  known.set(caller.key, narrowed);
  return narrowed;
}

type Match = Pick<HttpMatch | ConnectionMatch, "callers">;

/** A route with the matches that can fit this caller; undefined where none can. */
function narrowRoute<Route extends { readonly matches: readonly Match[] }>(
  route: Route,
  caller: Caller,
  bound: boolean,
): Route | undefined {
  if (route.matches.length === 0) return bound ? route : undefined;
  const matches = route.matches.filter(({ callers }) => isMeant(callers, caller, bound));
  if (matches.length === 0) return undefined;
  return matches.length === route.matches.length ? route : { ...route, matches };
}

/** @param bound whether the table as a whole is for one of the caller's gateways */
function isMeant(callers: CallerMatch | undefined, caller: Caller, bound: boolean): boolean {
  if (callers === undefined) return bound;
  const { labels, namespace, gateways } = callers;
  if (gateways === undefined ? !bound : !gateways.some((gateway) => caller.gateways.includes(gateway)))
    return false;
  return (
    (namespace === undefined || namespace === caller.namespace) &&
    (labels === undefined || caller.selected.has(selectorText(labels)))
  );
}

function matchesOf({ http, tls, tcp }: RouteTable): readonly Match[] {
  return [...http, ...tls, ...tcp].flatMap(({ matches }): readonly Match[] => matches);
}

const apart = new WeakMap<RouteTable, boolean>();

function tellsApart(table: RouteTable): boolean {
  const known = apart.get(table) ?? matchesOf(table).some(({ callers }) => callers !== undefined);
  apart.set(table, known);
  return known;
}

const selectors = new WeakMap<readonly object[], readonly Readonly<Record<string, string>>[]>();

/** By which labels routes and policies tell callers apart. */
function selectorsOf({ routes, policies }: Pick<Model, "routes" | "policies">) {
  const ofRoutes = remembered(routes, () =>
    routes.filter(tellsApart).flatMap((table) => matchesOf(table).map(({ callers }) => callers?.labels)),
  );
  const ofPolicies = remembered(policies, () => policies.map(({ selector }) => selector));
  return ofRoutes.length === 0 && ofPolicies.length === 0 ? [] : distinct([...ofRoutes, ...ofPolicies]);
}

function remembered(
  part: readonly object[],
  find: () => readonly (Readonly<Record<string, string>> | undefined)[],
): readonly Readonly<Record<string, string>>[] {
  const found = selectors.get(part) ?? distinct(find().filter((selector) => selector !== undefined));
  selectors.set(part, found);
  return found;
}

function distinct(found: readonly Readonly<Record<string, string>>[]) {
  return [...new Map(found.map((selector) => [selectorText(selector), selector])).values()];
}

interface LocalitiesAsked {
  readonly byLocality: boolean;
  /** Names of labels. */
  readonly byLabels: readonly string[];
}

const localities = new WeakMap<readonly DestinationPolicy[], LocalitiesAsked>();

/** What of a caller's place decides which endpoints it asks first. */
function localitiesIn(policies: readonly DestinationPolicy[]): LocalitiesAsked {
  const known = localities.get(policies);
  if (known !== undefined) return known;
  const all: readonly TrafficPolicy[] = policies.flatMap((rule) =>
    [rule, ...rule.subsets].flatMap(({ policy, byPort }) => [policy, ...byPort.values()]),
  );
  const byLabels = all
    .flatMap(({ loadBalancer }) => loadBalancer?.locality?.failoverPriority ?? [])
    .filter((label) => !label.includes("="));
  const found = {
    byLocality: all.some(
      ({ loadBalancer, outlierDetection }) =>
        outlierDetection !== undefined || loadBalancer?.locality !== undefined,
    ),
    byLabels: [...new Set(byLabels)].sort(),
  };
  localities.set(policies, found);
  return found;
}
