import type {
  HttpRouteDestination,
  Destination as WrittenDestination,
} from "../../api/generated/virtualservices.ts";
import { qualifiedHost } from "../model/names.ts";
import type { Destination } from "../model/route.ts";
import { translateHeaders } from "./headers.ts";
import type { Report } from "./problem.ts";
import type { Scope } from "./scope.ts";

/**
 * Where a route leads, with weights. A lone destination takes all; of several, one without a weight takes nothing.
 *
 * @param report at the route
 * @param nobody what happens where all weights are 0
 */
export function translateDestinations(
  written: readonly HttpRouteDestination[],
  scope: Scope,
  report: Report,
  nobody: string,
): Destination[] {
  const destinations = written.map(({ destination, weight, headers }) => ({
    ...translateTarget(destination, scope),
    weight: written.length === 1 ? 100 : (weight ?? 0),
    headers: translateHeaders(headers),
  }));
  const sum = destinations.reduce((total, { weight }) => total + weight, 0);
  if (sum === 0) report.problem("route", `weights sum to 0, so ${nobody}`);
  else if (sum !== 100)
    report.problem("route", `weights sum to ${sum}, not 100: each is taken as its share of the sum`);
  return destinations;
}

/** @see networking.istio.io Destination */
export function translateTarget(
  { host, subset, port }: WrittenDestination,
  { namespace, domain }: Scope,
): Pick<Destination, "host" | "subset" | "port"> {
  return {
    host: qualifiedHost(host.toLowerCase(), namespace, domain),
    subset: subset || undefined,
    port: port?.number,
  };
}
