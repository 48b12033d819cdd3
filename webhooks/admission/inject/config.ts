/** What an installation decides about its sidecars. */
export interface InjectionConfig {
  readonly image: string;
  /** Images that the annotation `sidecar.istio.io/proxyImage` may name, besides `image`. */
  readonly allowedImages: readonly string[];
  readonly imagePullSecrets: readonly string[];
  /** `host:port` of discovery and of the certificate authority over TLS. */
  readonly discoveryAddress: string;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly meshId: string;
  /** Of this control plane, as `istio.io/rev` names it. */
  readonly revision: string;
  /** Namespaces that never get sidecars; Istio's four are always among them. */
  readonly ignoredNamespaces: readonly string[];
  /** How connections come to the sidecar: by the pod's own proxy settings, or by iptables in its network namespace. */
  readonly interception: "NONE" | "REDIRECT";
  /**
   * Only under `REDIRECT`, where the sidecar cannot have a user of its own: the mark by which iptables know what Envoy
   * sends. What goes to `discoveryAddress` is then not redirected, as the agent itself has no mark.
   */
  readonly socketMark?: number;
  /** Only under `NONE`: hosts that applications reach without the sidecar's HTTP proxy, e.g. the API server. */
  readonly noProxy: readonly string[];
}

/**
 * The defaults of an installation.
 *
 * @param version of fairlead, which is the tag of its proxy's image
 */
export function injectionConfig(
  version: string,
  given: Pick<InjectionConfig, "discoveryAddress"> & Partial<InjectionConfig>,
): InjectionConfig {
  return {
    image: `fairlead/proxy:${version}`,
    allowedImages: [],
    imagePullSecrets: [],
    trustDomain: "cluster.local",
    clusterId: "Kubernetes",
    meshId: "cluster.local",
    revision: "default",
    ignoredNamespaces: ["istio-system"],
    interception: "NONE",
    noProxy: [],
    ...given,
  };
}
