import { createPrivateKey, X509Certificate } from "node:crypto";

/** What a Secret holds of TLS: PEM texts. The same object while the Secret does not change. */
export interface Credential {
  readonly namespace: string;
  readonly name: string;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  /** Roots by which certificates of the other side are judged. */
  readonly roots: string | undefined;
  /** Certificate revocation list. */
  readonly revoked: string | undefined;
  /** What is wrong with the Secret as it is now, where parts of its last good version stand in for it. */
  readonly refused?: string;
}

/** What is told where a Secret's last good version stands in; undefined where none does. */
export function refusal({ refused }: Credential): string | undefined {
  return refused === undefined ? undefined : `${refused}: what it held before stays`;
}

const checked = new WeakMap<Credential, string | undefined>();

/** What is wrong with a server's certificate and key; undefined: nothing. Looked at once. */
export function credentialFault(credential: Credential): string | undefined {
  if (!checked.has(credential)) checked.set(credential, findFault(credential));
  return checked.get(credential);
}

/** What is wrong with roots; undefined: nothing. */
export function rootsFault(roots: string | undefined): string | undefined {
  if (roots === undefined) return "has no roots (`ca.crt` or `cacert`)";
  return readableCertificates(roots) ? undefined : "has roots that are no PEM certificates";
}

function findFault({ certificate, key }: Credential): string | undefined {
  if (certificate === undefined || key === undefined)
    return "has no certificate and key (`tls.crt` and `tls.key`, or `cert` and `key`)";
  if (!readableCertificates(certificate)) return "has a certificate that is no PEM certificate";
  try {
    const leaf = new X509Certificate(certificate);
    return leaf.checkPrivateKey(createPrivateKey(key))
      ? undefined
      : "has a key that is not its certificate's";
  } catch {
    return "has a key that is no PEM private key";
  }
}

function readableCertificates(pem: string): boolean {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    for (const one of found) new X509Certificate(one);
  } catch {
    return false;
  }
  return found.length > 0;
}
