import { BlockList, isIP, isIPv6 } from "node:net";

/** Blocks that nothing outside may make us connect to, unless they are allowed by name. */
const closed: readonly (readonly [string, number, "ipv4" | "ipv6", string])[] = [
  ["0.0.0.0", 8, "ipv4", "this host"],
  ["127.0.0.0", 8, "ipv4", "loopback"],
  ["169.254.0.0", 16, "ipv4", "link-local, where clouds keep their metadata"],
  ["100.100.100.200", 32, "ipv4", "a cloud's metadata"],
  ["168.63.129.16", 32, "ipv4", "a cloud's metadata"],
  ["224.0.0.0", 4, "ipv4", "multicast"],
  ["255.255.255.255", 32, "ipv4", "broadcast"],
  ["::", 128, "ipv6", "this host"],
  ["::1", 128, "ipv6", "loopback"],
  ["fe80::", 10, "ipv6", "link-local"],
  ["fd00:ec2::254", 128, "ipv6", "a cloud's metadata"],
  ["ff00::", 8, "ipv6", "multicast"],
];

const lists = closed.map(([address, length, family, what]) => {
  const list = new BlockList();
  list.addSubnet(address, length, family);
  return { list, what };
});

/** Says why an address may not be connected to; undefined where it may. */
export type Egress = (address: string) => string | undefined;

/**
 * Makes the guard of connections that policies ask for (`jwksUri`): no loopback, link-local, multicast or metadata address,
 * however it is written, unless it lies in one of the blocks allowed. Private networks are open, as issuers stand there.
 *
 * @param allowed CIDR blocks such as `127.0.0.0/8`
 * @throws RangeError for a block that cannot be read
 */
export function egressGuard(allowed: readonly string[] = []): Egress {
  const open = new BlockList();
  for (const block of allowed) {
    const [address = "", length = ""] = block.split("/");
    const bits = Number(length);
    if (isIP(address) === 0 || length === "" || !Number.isInteger(bits))
      throw new RangeError(`\`${block}\` must be a CIDR block such as \`127.0.0.0/8\``);
    open.addSubnet(address, bits, isIPv6(address) ? "ipv6" : "ipv4");
  }
  return (written) => {
    const address = unmapped(written);
    if (isIP(address) === 0) return "is no address";
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    if (open.check(address, family)) return undefined;
    return lists.find(({ list }) => list.check(address, family))?.what;
  };
}

/** An IPv4 address inside IPv6 (RFC 4291, NAT64) is that IPv4 address. */
function unmapped(address: string): string {
  if (!isIPv6(address)) return address;
  // URL writes an address in its one canonical form, the last quad as two words.
  const canonical = new URL(`http://[${address.split("%")[0]}]/`).hostname.slice(1, -1);
  const words = /^(?:::ffff:|64:ff9b::|::)([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (words === null) return canonical;
  const [high = 0, low = 0] = words.slice(1).map((word) => Number.parseInt(word, 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
