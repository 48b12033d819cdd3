import type { Secret } from "../../api/core.ts";
import { type Credential, credentialFault, rootsFault } from "../model/credential.ts";

/**
 * What a Secret holds of TLS; undefined for one that holds nothing of it. A certificate, key or roots that cannot be read
 * do not take the place of good ones.
 *
 * Kubernetes' keys (`tls.crt`, `tls.key`, `ca.crt`, `ca.crl`) and Istio's (`cert`, `key`, `cacert`, `crl`).
 *
 * @param before what its earlier version held
 * @see networking.istio.io ServerTLSSettings.credential_name, v1.Secret type kubernetes.io/tls
 */
export function translateCredential({ metadata, data }: Secret, before?: Credential): Credential | undefined {
  const text = (...keys: readonly string[]): string | undefined => {
    const found = keys.map((key) => data?.[key]).find((value) => value !== undefined && value !== "");
    return found === undefined ? undefined : Buffer.from(found, "base64").toString("utf8");
  };
  const certificate = text("tls.crt", "cert");
  const key = text("tls.key", "key");
  const roots = text("ca.crt", "cacert");
  if ((certificate === undefined || key === undefined) && roots === undefined) return undefined;
  const newest = {
    namespace: metadata.namespace ?? "default",
    name: metadata.name,
    certificate,
    key,
    roots,
    revoked: text("ca.crl", "crl"),
  };
  return before === undefined ? newest : keepGood(newest, before);
}

/** What is taken away is gone; what is there and broken is not taken. */
function keepGood(newest: Credential, before: Credential): Credential {
  const hasPair = newest.certificate !== undefined || newest.key !== undefined;
  const pairFault = hasPair && credentialFault(before) === undefined ? credentialFault(newest) : undefined;
  const rootsBroken =
    newest.roots !== undefined && rootsFault(before.roots) === undefined
      ? rootsFault(newest.roots)
      : undefined;
  const faults = [pairFault, rootsBroken].filter((fault) => fault !== undefined);
  if (faults.length === 0) return newest;
  return {
    ...newest,
    ...(pairFault !== undefined && { certificate: before.certificate, key: before.key }),
    ...(rootsBroken !== undefined && { roots: before.roots, revoked: before.revoked }),
    refused: faults.join(" and "),
  };
}
