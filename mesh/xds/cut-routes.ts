import type { Cut } from "../../api/signals.ts";
import type { Destination, HttpRoute, RouteTable } from "../model/route.ts";

const results = new WeakMap<RouteTable, Map<string, RouteTable>>();

/**
 * A route table as a cut holds it: the canary's destinations at 0, their share with the primary. The same object for the
 * same table and cut.
 */
export function cutTable(table: RouteTable, cut: Cut): RouteTable {
  const known = results.get(table) ?? new Map<string, RouteTable>();
  results.set(table, known);
  const result = known.get(cut.id) ?? { ...table, http: table.http.map((route) => cutRoute(route, cut)) };
  known.set(cut.id, result);
  return result;
}

/** Whether a cut is for this table. */
export function concerns({ route }: Cut, { source }: RouteTable): boolean {
  return route.kind === source.kind && route.namespace === source.namespace && route.name === source.name;
}

function cutRoute(route: HttpRoute, cut: Cut): HttpRoute {
  if (route.action.kind !== "forward") return route;
  const { destinations } = route.action;
  const isCanary = ({ host }: Destination) => cut.canaryDestinations.includes(host);
  if (!destinations.some(isCanary)) return route;
  const share = destinations.filter(isCanary).reduce((sum, { weight }) => sum + weight, 0);
  const moved = destinations.map((destination) => {
    if (isCanary(destination)) return { ...destination, weight: 0 };
    return destination.host === cut.primaryDestination
      ? { ...destination, weight: destination.weight + share }
      : destination;
  });
  const [canary] = destinations.filter(isCanary);
  const hasPrimary = moved.some(({ host }) => host === cut.primaryDestination);
  const primary = canary && { ...canary, host: cut.primaryDestination, weight: share };
  return {
    ...route,
    action: { ...route.action, destinations: hasPrimary || !primary ? moved : [...moved, primary] },
  };
}
