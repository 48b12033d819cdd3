/** Istio's names for Envoy's resources: users' dashboards, EnvoyFilters and eyes know them. */

export const passthroughCluster = "PassthroughCluster";
export const blackHoleCluster = "BlackHoleCluster";
/** Route table of the HTTP proxy on each pod. */
export const httpProxyRoutes = "http_proxy";

/** e.g. `outbound|80|v1|shop.demo.svc.cluster.local` */
export function outboundCluster(host: string, port: number, subset = ""): string {
  return `outbound|${port}|${subset}|${host}`;
}

/** Host of a cluster of {@link outboundCluster}'s naming; undefined for other clusters. */
export function hostOfCluster(cluster: string): string | undefined {
  if (!cluster.startsWith("outbound|")) return undefined;
  const subset = cluster.indexOf("|", "outbound|".length);
  const host = cluster.indexOf("|", subset + 1);
  return subset > 0 && host > 0 && !cluster.includes("|", host + 1) ? cluster.slice(host + 1) : undefined;
}

/** Server name of a cluster's TLS connections, e.g. `outbound_.80_.v1_.shop.demo.svc.cluster.local` */
export function outboundServerName(host: string, port: number, subset = ""): string {
  return `outbound_.${port}_.${subset}_.${host}`;
}

/** The application behind a sidecar's own port. */
export function inboundCluster(port: number): string {
  return `inbound|${port}||`;
}

/** A host as users write it, made complete: a name without dots is a Service of `namespace`. */
export function qualifiedHost(host: string, namespace: string, domain: string): string {
  return host.includes(".") || host.startsWith("*") ? host : serviceHost(host, namespace, domain);
}

export function serviceHost(name: string, namespace: string, domain: string): string {
  return `${name}.${namespace}.svc.${domain}`;
}
