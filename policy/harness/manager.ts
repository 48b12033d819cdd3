import { pathSettings } from "../envoy/path.ts";
import type { PathNormalization } from "../path/normalize.ts";

/** The settings of a sidecar's or a gateway's connection manager that policies depend on, in JSON form. */
export function managerSettings(
  mode: PathNormalization,
  gateway: { readonly trustedProxies: number } | undefined,
): object {
  const { normalizePath, mergeSlashes, pathWithEscapedSlashesAction } = pathSettings(mode);
  const path = { normalizePath, mergeSlashes, pathWithEscapedSlashesAction };
  const certificate = { subject: true, uri: true, dns: true };
  return gateway
    ? {
        ...path,
        useRemoteAddress: true,
        xffNumTrustedHops: gateway.trustedProxies,
        forwardClientCertDetails: "SANITIZE_SET",
        setCurrentClientCertDetails: certificate,
      }
    : {
        ...path,
        useRemoteAddress: false,
        forwardClientCertDetails: "APPEND_FORWARD",
        setCurrentClientCertDetails: certificate,
      };
}
