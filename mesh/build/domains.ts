import type { Service } from "../model/service.ts";

/**
 * How callers of `namespace` may spell a Service: its full name (with and without the last dot), shorter names, and its
 * virtual addresses.
 */
export function domainsOf(
  { host, name, namespace: own, addresses: all, resolution }: Service,
  namespace: string,
): string[] {
  const addresses = all.filter((address) => !address.includes("/"));
  // A ServiceEntry's host has no shorter form; one with a wildcard has no last dot either.
  if (resolution !== undefined) return [host, ...addresses.map(bracketed)];
  const short = [`${name}.${own}`, `${name}.${own}.svc`];
  if (own === namespace) short.unshift(name);
  return [host, `${host}.`, ...short, ...addresses.map(bracketed)];
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

/** The same with the port, as a proxy's client sends it; 80 may stay away. */
export function domainsWithPort(domains: readonly string[], port: number): string[] {
  const withPort = domains.map((domain) => `${domain}:${port}`);
  return port === 80 ? [...withPort, ...domains] : withPort;
}
