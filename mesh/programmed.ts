import type { ResourceRef } from "../api/resource.ts";
import type { Resource, ResourceType } from "./build/resource.ts";
import type { Holding } from "./contract.ts";
import { type Gateway, selectsProxy } from "./model/gateway.ts";
import type { Proxy } from "./model/proxy.ts";
import type { ProxyStream } from "./xds/stream.ts";

/** Which resources are made of an object of a kind. */
const typesOf: ReadonlyMap<string, readonly ResourceType[]> = new Map([
  ["DestinationRule", ["cluster", "endpoint"]],
]);
const ofRoutes: readonly ResourceType[] = ["route"];

/**
 * How many of the streams hold what is made of `source`: of a DestinationRule the clusters and endpoints, else the
 * routes, weights included.
 */
export function programmedIn(
  connections: Iterable<{ readonly stream: ProxyStream }>,
  source: ResourceRef,
): Holding {
  const types = typesOf.get(source.kind) ?? ofRoutes;
  let held = 0;
  let of = 0;
  for (const { stream } of connections) {
    const asked = types.filter((type) => stream.asksFor(type));
    if (asked.length === 0) continue;
    of += 1;
    const lacks = asked.some((type) => stream.lacks(type).some((resource) => isFrom(resource, source)));
    // Runtime keys of all canaries are one resource: it counts as a whole.
    const lacksKeys = types === ofRoutes && stream.lacks("runtime").length > 0;
    if (!lacks && !lacksKeys) held += 1;
  }
  return { held, of };
}

/** How many of the proxies that serve one of Istio's Gateways hold all that they should. */
export function gatewayHolding(
  connections: Iterable<{ readonly proxy: Proxy; readonly synced: boolean }>,
  gateway: Gateway | undefined,
): Holding {
  if (gateway === undefined) return { held: 0, of: 0 };
  const serving = [...connections].filter(
    ({ proxy }) => proxy.kind === "router" && selectsProxy(gateway, proxy),
  );
  return { held: serving.filter(({ synced }) => synced).length, of: serving.length };
}

function isFrom({ sources }: Resource, { kind, namespace, name }: ResourceRef): boolean {
  for (const { source } of sources) {
    if (source.kind === kind && source.namespace === namespace && source.name === name) return true;
  }
  return false;
}
