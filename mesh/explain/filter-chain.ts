import { BlockList, isIP } from "node:net";
import type { CidrRange } from "../../envoy/generated/envoy/config/core/v3/address_pb.js";
import type {
  FilterChain,
  FilterChainMatch,
} from "../../envoy/generated/envoy/config/listener/v3/listener_components_pb.js";
import { FilterChainMatch_ConnectionSourceType as SourceType } from "../../envoy/generated/envoy/config/listener/v3/listener_components_pb.js";
import type { Listener } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";

/** A connection as a listener's filters have seen it when the chain is chosen. */
export interface Connection {
  readonly destination: { readonly address: string; readonly port: number };
  readonly source: { readonly address: string; readonly port: number };
  readonly tls: boolean;
  readonly sni: string;
  /** What the caller offers by ALPN, or what an inspector has recognised. */
  readonly protocols: readonly string[];
}

/** The protocols of a connection: of its TLS greeting, or as an HTTP inspector recognises them in the clear. */
export function seenProtocols(
  { listenerFilters }: Pick<Listener, "listenerFilters">,
  asked: {
    readonly tls: boolean;
    readonly alpn: readonly string[];
    readonly http: boolean;
    readonly http2: boolean;
  },
): readonly string[] {
  const has = (name: string) => listenerFilters.some((filter) => filter.name.endsWith(name));
  if (asked.tls) return has("tls_inspector") ? asked.alpn : [];
  if (!asked.http || !has("http_inspector")) return [];
  return [asked.http2 ? "h2c" : "http/1.1"];
}

/**
 * The chain that takes a connection; undefined where it is closed at once.
 *
 * Each kind of rule narrows the choice in Envoy's order, and the most exact one that fits counts; there is no way back.
 *
 * @see envoy.config.listener.v3.FilterChainMatch
 */
export function filterChainFor(listener: Listener, connection: Connection): FilterChain | undefined {
  const matchOf = (chain: FilterChain): Partial<FilterChainMatch> => chain.filterChainMatch ?? {};
  let left: readonly FilterChain[] = listener.filterChains;
  for (const fitOf of rules(connection)) {
    const scored = left.map((chain) => [chain, fitOf(matchOf(chain))] as const);
    const best = Math.max(...scored.map(([, score]) => score));
    if (best < 0 || scored.length === 0) return listener.defaultFilterChain;
    left = scored.filter(([, score]) => score === best).map(([chain]) => chain);
  }
  return left[0] ?? listener.defaultFilterChain;
}

type Match = Partial<FilterChainMatch>;

/** How exactly a rule fits: below 0 not at all, 0 where it is not set. */
type Fit = (match: Match) => number;

function rules({ destination, source, tls, sni, protocols }: Connection): readonly Fit[] {
  const transport = tls ? "tls" : "raw_buffer";
  return [
    ({ destinationPort }) =>
      destinationPort === undefined ? 0 : destinationPort === destination.port ? 1 : -1,
    ({ prefixRanges = [] }) => longestPrefix(prefixRanges, destination.address),
    ({ serverNames = [] }) => serverNameFit(serverNames, sni.toLowerCase()),
    ({ transportProtocol = "" }) => (transportProtocol === "" ? 0 : transportProtocol === transport ? 1 : -1),
    ({ applicationProtocols = [] }) => {
      if (applicationProtocols.length === 0) return 0;
      // What the caller names first counts most.
      const at = protocols.findIndex((protocol) => applicationProtocols.includes(protocol));
      return at < 0 ? -1 : protocols.length - at;
    },
    ({ directSourcePrefixRanges = [] }) => longestPrefix(directSourcePrefixRanges, source.address),
    ({ sourceType = SourceType.ANY }) => sourceTypeFit(sourceType, source.address, destination.address),
    ({ sourcePrefixRanges = [] }) => longestPrefix(sourcePrefixRanges, source.address),
    ({ sourcePorts = [] }) => (sourcePorts.length === 0 ? 0 : sourcePorts.includes(source.port) ? 1 : -1),
  ];
}

function longestPrefix(ranges: readonly CidrRange[], address: string): number {
  if (ranges.length === 0) return 0;
  const fitting = ranges.filter((range) => contains(range, address)).map(({ prefixLen = 0 }) => prefixLen);
  return fitting.length === 0 ? -1 : Math.max(...fitting) + 1;
}

function contains({ addressPrefix, prefixLen = 0 }: CidrRange, address: string): boolean {
  if (isIP(address) === 0 || isIP(address) !== isIP(addressPrefix)) return false;
  const family = isIP(address) === 6 ? "ipv6" : "ipv4";
  const block = new BlockList();
  block.addSubnet(addressPrefix, prefixLen, family);
  return block.check(address, family);
}

/** An exact name beats a wildcard, a longer wildcard a shorter one, any name none. */
function serverNameFit(names: readonly string[], sni: string): number {
  if (names.length === 0) return 0;
  const fits = names.map((name) => {
    const lower = name.toLowerCase();
    if (lower === sni && sni !== "") return 1_000_000;
    return lower.startsWith("*.") && sni.endsWith(lower.slice(1)) ? lower.length : -1;
  });
  return Math.max(...fits);
}

function sourceTypeFit(type: SourceType, source: string, destination: string): number {
  if (type === SourceType.ANY) return 0;
  const isLocal = source === destination || source.startsWith("127.") || source === "::1";
  return (type === SourceType.SAME_IP_OR_LOOPBACK) === isLocal ? 1 : -1;
}
