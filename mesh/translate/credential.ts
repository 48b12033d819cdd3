import type { Secret } from "../../api/core.ts";
import type { Credential } from "../model/credential.ts";

/**
 * What a Secret holds of TLS; undefined for one that holds nothing of it.
 *
 * Kubernetes' keys (`tls.crt`, `tls.key`, `ca.crt`, `ca.crl`) and Istio's (`cert`, `key`, `cacert`, `crl`).
 *
 * @see networking.istio.io ServerTLSSettings.credential_name, v1.Secret type kubernetes.io/tls
 */
export function translateCredential({ metadata, data }: Secret): Credential | undefined {
  const text = (...keys: readonly string[]): string | undefined => {
    const found = keys.map((key) => data?.[key]).find((value) => value !== undefined && value !== "");
    return found === undefined ? undefined : Buffer.from(found, "base64").toString("utf8");
  };
  const certificate = text("tls.crt", "cert");
  const key = text("tls.key", "key");
  const roots = text("ca.crt", "cacert");
  if ((certificate === undefined || key === undefined) && roots === undefined) return undefined;
  return {
    namespace: metadata.namespace ?? "default",
    name: metadata.name,
    certificate,
    key,
    roots,
    revoked: text("ca.crl", "crl"),
  };
}
