/** Who a workload is: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`. */
export interface SpiffeId {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** The characters of each part are Kubernetes' own, so nothing in it can end a part early. */
const form =
  /^spiffe:\/\/([a-z0-9](?:[a-z0-9._-]{0,253}))\/ns\/([a-z0-9](?:[a-z0-9-]{0,62}))\/sa\/([a-z0-9](?:[a-z0-9.-]{0,252}))$/;

export function formatSpiffeId({ trustDomain, namespace, serviceAccount }: SpiffeId): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
}

/** undefined where `uri` is not a workload's SPIFFE ID. */
export function parseSpiffeId(uri: string): SpiffeId | undefined {
  const [, trustDomain, namespace, serviceAccount] = form.exec(uri) ?? [];
  if (trustDomain === undefined || namespace === undefined || serviceAccount === undefined) return undefined;
  return { trustDomain, namespace, serviceAccount };
}

/**
 * The identity in a client certificate that TLS has verified.
 *
 * There must be exactly one SAN and it must be a SPIFFE URI: a DNS or email name that spells one, or a second
 * URI beside it, is nobody.
 *
 * @param subjectAltName as Node prints it, e.g. `call.getAuthContext().sslPeerCertificate.subjectaltname`
 */
export function readPeerIdentity(subjectAltName: string | undefined): SpiffeId | undefined {
  return subjectAltName?.startsWith("URI:") ? parseSpiffeId(subjectAltName.slice("URI:".length)) : undefined;
}
