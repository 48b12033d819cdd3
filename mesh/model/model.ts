import type { DestinationPolicy } from "./destination-policy.ts";
import type { ServiceEndpoints } from "./endpoint.ts";
import type { MutualTlsRule } from "./mutual-tls.ts";
import type { RouteTable } from "./route.ts";
import type { Service } from "./service.ts";
import type { Workload } from "./workload.ts";

/** What holds for the whole mesh. */
export interface MeshSettings {
  /** e.g. `cluster.local` */
  readonly trustDomain: string;
  /** Of Services' hosts, e.g. `cluster.local`. */
  readonly domain: string;
  /** Its policies hold for all namespaces, e.g. `istio-system`. */
  readonly rootNamespace: string;
  /** Hosts that nobody declared: pass them on, or answer 502. */
  readonly outboundTrafficPolicy: "ALLOW_ANY" | "REGISTRY_ONLY";
}

/**
 * Everything the mesh routes by, free of Kubernetes' and Envoy's forms.
 *
 * Parts that do not change between two models are the same objects, so whoever builds from them can tell by identity
 * what is left to do.
 */
export interface Model {
  readonly settings: MeshSettings;
  /** By host. */
  readonly services: ReadonlyMap<string, Service>;
  /** By host. */
  readonly endpoints: ReadonlyMap<string, ServiceEndpoints>;
  /** By namespace and pod, `demo/shop-7d4`. */
  readonly workloads: ReadonlyMap<string, Workload>;
  /** Oldest first: of two for one host the older counts. */
  readonly routes: readonly RouteTable[];
  /** Oldest first. */
  readonly policies: readonly DestinationPolicy[];
  /** Oldest first. */
  readonly mutualTls: readonly MutualTlsRule[];
}

export const defaultSettings: MeshSettings = {
  trustDomain: "cluster.local",
  domain: "cluster.local",
  rootNamespace: "istio-system",
  outboundTrafficPolicy: "ALLOW_ANY",
};

/** The route table for a host: its own, else the longest wildcard's. */
export function routeTableFor(routes: readonly RouteTable[], host: string): RouteTable | undefined {
  return mostSpecific(host, routes, ({ hosts }) => hosts);
}

/**
 * The policy by which callers of `namespace` reach a host of `serviceNamespace`: their own namespace's, else the
 * Service's, else the root namespace's.
 */
export function policyFor(
  model: Model,
  namespace: string,
  host: string,
  serviceNamespace: string,
): DestinationPolicy | undefined {
  for (const from of new Set([namespace, serviceNamespace, model.settings.rootNamespace])) {
    const candidates = model.policies.filter((policy) => policy.namespace === from);
    const found = mostSpecific(host, candidates, (policy) => [policy.host]);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Of all that name `host`, the one that names it most exactly; the first of equals. */
function mostSpecific<T>(
  host: string,
  candidates: readonly T[],
  hostsOf: (candidate: T) => readonly string[],
): T | undefined {
  let best: T | undefined;
  let length = -1;
  for (const candidate of candidates) {
    for (const pattern of hostsOf(candidate)) {
      if (pattern === host) return candidate;
      if (!pattern.startsWith("*") || !host.endsWith(pattern.slice(1)) || pattern.length <= length) continue;
      best = candidate;
      length = pattern.length;
    }
  }
  return best;
}
