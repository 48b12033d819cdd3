import { isIP } from "node:net";
import type {
  TcpMatchRequest,
  TlsMatchRequest,
  TcpRoute as WrittenTcp,
  TlsRoute as WrittenTls,
} from "../../api/generated/virtualservices.ts";
import type { ConnectionMatch, TcpRoute, TlsRoute } from "../model/route.ts";
import { translateCallers } from "./caller-match.ts";
import { translateDestinations } from "./destinations.ts";
import type { Report } from "./problem.ts";
import type { Scope } from "./scope.ts";

const nobody = "connections are closed";

/** One entry of `spec.tcp`; undefined where it leads nowhere. @see networking.istio.io TCPRoute */
export function translateTcpRoute(
  { match = [], route = [] }: WrittenTcp,
  position: number,
  scope: Scope,
  report: Report,
): TcpRoute | undefined {
  const matches = match.flatMap(
    (written, index) => translateMatch(written, scope, report.at("match", index)) ?? [],
  );
  if (match.length > 0 && matches.length === 0) return undefined;
  if (route.length === 0) {
    report.problem("route", "names no destination");
    return undefined;
  }
  return { position, matches, destinations: translateDestinations(route, scope, report, nobody) };
}

/**
 * One entry of `spec.tls`; undefined where it leads nowhere or fits nothing.
 *
 * @param hosts of the VirtualService: a server name must be one of them, or below one
 * @see networking.istio.io TLSRoute
 */
export function translateTlsRoute(
  { match, route = [] }: WrittenTls,
  position: number,
  hosts: readonly string[],
  scope: Scope,
  report: Report,
): TlsRoute | undefined {
  if (route.length === 0) {
    report.problem("route", "names no destination");
    return undefined;
  }
  const matches = match.flatMap((written, index) => {
    const at = report.at("match", index);
    const translated = translateMatch(written, scope, at);
    const serverNames = written.sniHosts.filter((name, place) => {
      const known = hosts.some((host) => isWithin(name.toLowerCase(), host.toLowerCase()));
      if (!known)
        at.at("sniHosts").problem(String(place), `\`${name}\` is none of spec.hosts, nor within one`);
      return known;
    });
    if (serverNames.length === 0 || translated === undefined) return [];
    return [{ ...translated, serverNames: serverNames.map((name) => name.toLowerCase()) }];
  });
  if (matches.length === 0) return undefined;
  return { position, matches, destinations: translateDestinations(route, scope, report, nobody) };
}

function translateMatch(
  match: TcpMatchRequest & Partial<TlsMatchRequest>,
  { namespace }: Scope,
  report: Report,
): ConnectionMatch | undefined {
  const { destinationSubnets = [], sourceSubnet, port } = match;
  const wrong = destinationSubnets.findIndex((subnet) => !isSubnet(subnet));
  if (wrong >= 0)
    report.at("destinationSubnets").problem(String(wrong), notSubnet(destinationSubnets[wrong] ?? ""));
  if (sourceSubnet && !isSubnet(sourceSubnet)) report.problem("sourceSubnet", notSubnet(sourceSubnet));
  if (wrong >= 0 || (sourceSubnet && !isSubnet(sourceSubnet))) return undefined;
  return {
    destinationSubnets,
    sourceSubnet: sourceSubnet || undefined,
    port: port || undefined,
    callers: translateCallers(match, namespace),
  };
}

function notSubnet(text: string): string {
  return `\`${text}\` is neither an address nor a CIDR, so this match never fits`;
}

function isSubnet(text: string): boolean {
  const [address = "", length, ...rest] = text.split("/");
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  return length === undefined || (/^\d+$/.test(length) && Number(length) <= (version === 4 ? 32 : 128));
}

/** Whether all names of `name` (a leading `*` stands for any first part) are names of `host`. */
function isWithin(name: string, host: string): boolean {
  if (name === host || host === "*") return true;
  return host.startsWith("*") && name.replace(/^\*/, "").endsWith(host.slice(1));
}
