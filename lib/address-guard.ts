import { lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";

/** Which addresses requests that users cause may reach. */
export interface AddressGuard {
  /** Why a request to this URL is refused; undefined where it may go. Names are judged when they are resolved. */
  refusal(url: string): string | undefined;
  /** For `net.connect` and agents: resolves a name and refuses it where any of its addresses is blocked. */
  readonly lookup: LookupFunction;
}

/** Where clouds give credentials away, and what is nobody's. RFC 3927, 4291, 6052, 6890. */
const never: readonly (readonly [string, number, "ipv4" | "ipv6"])[] = [
  ["169.254.0.0", 16, "ipv4"],
  ["0.0.0.0", 8, "ipv4"],
  ["100.100.100.200", 32, "ipv4"],
  ["224.0.0.0", 4, "ipv4"],
  ["255.255.255.255", 32, "ipv4"],
  ["::", 128, "ipv6"],
  ["fe80::", 10, "ipv6"],
  ["ff00::", 8, "ipv6"],
  ["fd00:ec2::254", 128, "ipv6"],
  // IPv4 inside IPv6, as NAT64 and 6to4 carry it.
  ["64:ff9b::a9fe:0", 112, "ipv6"],
  ["2002:a9fe::", 32, "ipv6"],
];
const loopback: typeof never = [
  ["127.0.0.0", 8, "ipv4"],
  ["::1", 128, "ipv6"],
];

/**
 * Guards requests whose address a user's object names (S46: link-local, metadata and loopback addresses).
 *
 * Names are resolved once, judged and connected to as resolved, so that a name which flips in between gains nothing.
 *
 * @param options.loopback whether this machine itself may be asked: on one machine everything is there
 */
export function createAddressGuard(options: { readonly loopback: boolean }): AddressGuard {
  const blocked = new BlockList();
  for (const [network, prefix, family] of options.loopback ? never : [...never, ...loopback])
    blocked.addSubnet(network, prefix, family);
  const isBlocked = (address: string): boolean =>
    blocked.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  return {
    refusal(url) {
      const parsed = URL.parse(url);
      if (parsed === null) return "it is no url";
      if (!["http:", "https:"].includes(parsed.protocol)) return "it is no http(s) url";
      const host = parsed.hostname.replace(/^\[|\]$/g, "");
      return isIP(host) !== 0 && isBlocked(host) ? `${host} may not be asked` : undefined;
    },
    lookup(hostname, asked, done) {
      lookup(hostname, { ...asked, all: true }, (error, addresses) => {
        const first = addresses?.[0];
        if (error !== null || first === undefined)
          return done(error ?? new Error(`${hostname} has no address`), "", 0);
        if (addresses.some(({ address }) => isBlocked(address)))
          return done(new Error(`${hostname} resolves to an address that may not be asked`), "", 0);
        if (asked.all === true) done(null, addresses);
        else done(null, first.address, first.family);
      });
    },
  };
}
