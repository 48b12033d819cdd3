import { isIP } from "node:net";
import type { Model } from "../model/model.ts";
import type { Proxy } from "../model/proxy.ts";
import type { Service } from "../model/service.ts";
import type { Arrival } from "./explain.ts";
import { type Address, boundTo, redirectedTo } from "./listener.ts";
import type { RouteRequest } from "./request.ts";
import type { ProxyResources } from "./resources.ts";

/** Where names outside the mesh lead: documentation's own range (RFC 5737), as nobody asks DNS here. */
const elsewhere = "192.0.2.1";
const sourcePort = 40_000;

/** How a workload's own request comes to its proxy; a gateway takes it from outside, on the port that was asked for. */
export function arrive(
  model: Model,
  proxy: Proxy,
  resources: ProxyResources,
  request: RouteRequest,
): Arrival | { readonly reason: string } {
  const { listeners } = resources;
  const source: Address = { address: proxy.ip, port: sourcePort };
  if (proxy.id.startsWith("router~")) {
    const destination = { address: proxy.ip, port: request.port };
    const listener = boundTo(listeners, destination);
    if (listener === undefined) return { reason: `the gateway listens on no port ${request.port}` };
    const outside = { address: elsewhere, port: sourcePort };
    return { listener, destination, source: outside, how: `the gateway takes it on port ${request.port}` };
  }
  if (proxy.interception === "NONE") {
    const destination = { address: proxy.ip, port: proxy.httpProxyPort };
    if (request.scheme === "tcp")
      return { reason: "in interception mode NONE connections without HTTP do not pass the sidecar" };
    const listener = boundTo(listeners, destination);
    if (listener === undefined)
      return { reason: `it holds no listener for its HTTP proxy on port ${proxy.httpProxyPort}` };
    return { listener, destination, source, how: "taken by the sidecar's HTTP proxy" };
  }
  const { address, how } = addressFor(model, proxy.namespace, request.host);
  const destination = { address, port: request.port };
  const listener = redirectedTo(listeners, destination, "virtualOutbound");
  if (listener === undefined) return { reason: "it holds no listener for what it sends" };
  return { listener, destination, source, how };
}

/** Where a host name leads, by the mesh's own knowledge. */
function addressFor(
  model: Model,
  namespace: string,
  host: string,
): { readonly address: string; readonly how: string } {
  if (isIP(host) !== 0) return { address: host, how: `sent to ${host}` };
  const service = serviceNamed(model, namespace, host);
  if (service === undefined) return { address: elsewhere, how: `\`${host}\` is no host of the mesh` };
  const [virtual] = service.addresses;
  if (virtual !== undefined) return { address: virtual, how: `\`${host}\` is ${service.host} (${virtual})` };
  const [first] = [...(model.endpoints.get(service.host)?.byPort.values() ?? [])].flat();
  return first === undefined
    ? { address: elsewhere, how: `\`${host}\` is ${service.host}, which has no address` }
    : {
        address: first.address,
        how: `\`${host}\` is ${service.host}, headless: one of its pods (${first.address})`,
      };
}

/** A service by any of the names that callers of `namespace` may use. */
function serviceNamed({ services, settings }: Model, namespace: string, host: string): Service | undefined {
  const name = host.replace(/\.$/, "");
  const candidates = [
    name,
    `${name}.${namespace}.svc.${settings.domain}`,
    `${name}.svc.${settings.domain}`,
    `${name}.${settings.domain}`,
  ];
  return candidates.map((candidate) => services.get(candidate)).find((service) => service !== undefined);
}
