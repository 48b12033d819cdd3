import type { VirtualHost } from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import type { RouteConfiguration } from "../../envoy/generated/envoy/config/route/v3/route_pb.js";

/**
 * The virtual host of an authority: an exact domain, else the longest `*.suffix`, else the longest `prefix.*`, else `*`.
 *
 * @see envoy.config.route.v3.VirtualHost.domains: case does not count, and a wildcard stands for one character at least
 */
export function virtualHostFor(
  { virtualHosts, ignorePortInHostMatching }: RouteConfiguration,
  authority: string,
): VirtualHost | undefined {
  const host = (ignorePortInHostMatching ? authority.replace(/:\d+$/, "") : authority).toLowerCase();
  let best: { readonly rank: number; readonly length: number; readonly found: VirtualHost } | undefined;
  for (const candidate of virtualHosts) {
    for (const domain of candidate.domains) {
      const rank = rankOf(domain.toLowerCase(), host);
      if (rank === 0) continue;
      if (best !== undefined && (best.rank > rank || (best.rank === rank && best.length >= domain.length)))
        continue;
      best = { rank, length: domain.length, found: candidate };
    }
  }
  return best?.found;
}

/** 0: does not fit. */
function rankOf(domain: string, host: string): number {
  if (domain === host) return 4;
  if (domain === "*") return 1;
  if (host.length < domain.length) return 0;
  if (domain.startsWith("*")) return host.endsWith(domain.slice(1)) ? 3 : 0;
  if (domain.endsWith("*")) return host.startsWith(domain.slice(0, -1)) ? 2 : 0;
  return 0;
}
