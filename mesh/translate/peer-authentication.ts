import type { PeerAuthentication } from "../../api/kinds.ts";
import type { MutualTlsMode, MutualTlsRule } from "../model/mutual-tls.ts";

/** A PeerAuthentication as a rule. Port levels count only beside a selector. @see security.istio.io PeerAuthentication */
export function translatePeerAuthentication({ metadata, spec }: PeerAuthentication): MutualTlsRule {
  const labels = spec?.selector?.matchLabels;
  const byPort = new Map<number, MutualTlsMode | "UNSET">();
  if (labels !== undefined) {
    for (const [port, { mode = "UNSET" }] of Object.entries(spec?.portLevelMtls ?? {}))
      byPort.set(Number(port), mode);
  }
  return {
    namespace: metadata.namespace ?? "default",
    selector: labels !== undefined && Object.keys(labels).length > 0 ? labels : undefined,
    mode: spec?.mtls?.mode ?? "UNSET",
    byPort,
    createdAt: metadata.creationTimestamp ?? "",
  };
}
