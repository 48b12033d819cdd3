import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { distinguishedName, signCertificate } from "./certificate.ts";
import { readElement, readElements } from "./der-reader.ts";
import { objectIdentifier, pem } from "./der-writer.ts";

/** Who signs: a certificate of use `ca` with its key, and the way from it up to the root that everybody trusts. */
export interface Authority {
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
  /** PEM: from the signing certificate up to, and without, the root. Empty where the root itself signs. */
  readonly intermediates: readonly string[];
  /** PEM; several certificates while roots are being exchanged. */
  readonly rootPem: string;
  /** Subject of the signing certificate, DER: the issuer of every leaf. */
  readonly name: Buffer;
  readonly keyId?: Buffer;
  /** Epoch milliseconds. */
  readonly notAfter: number;
}

/** The files of an authority as Secrets hold them, PEM. */
export interface AuthorityFiles {
  readonly certificate: string;
  readonly key: string;
  /** Intermediates above `certificate`, where it is not the root. */
  readonly chain?: string;
  readonly root?: string;
}

const tenYears = 10 * 365 * 24 * 3600 * 1000;
const backDating = 2 * 60 * 1000;

/** Makes a self-signed root: ECDSA P-256, ten years from `now` (epoch milliseconds). */
export function createRoot(trustDomain: string, now: number): AuthorityFiles {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const subject = [
    { type: "O", value: trustDomain },
    { type: "CN", value: "fairlead root" },
  ] as const;
  const der = signCertificate(
    {
      subject,
      issuer: distinguishedName(subject),
      publicKeyInfo: publicKey.export({ format: "der", type: "spki" }),
      notBefore: now - backDating,
      notAfter: now + tenYears,
      use: "ca",
    },
    privateKey,
  );
  return {
    certificate: pem("CERTIFICATE", der),
    key: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
  };
}

/**
 * Reads an authority's files and checks that they belong together.
 *
 * @throws Error which names what does not fit; never with a part of the key
 */
export function readAuthority({
  certificate: certificatePem,
  key: keyPem,
  chain,
  root,
}: AuthorityFiles): Authority {
  const certificate = new X509Certificate(certificatePem);
  const key = readKey(keyPem);
  if (!certificate.ca) throw new Error("the certificate of the authority is not of a ca (basicConstraints)");
  if (!certificate.checkPrivateKey(key))
    throw new Error("the key of the authority does not fit its certificate");
  const { name, keyId } = readNames(certificate.raw);
  const rootPem = root ?? (chain ? lastOf(splitPem(chain)) : undefined) ?? certificatePem;
  const roots = splitPem(rootPem).map((text) => new X509Certificate(text).fingerprint256);
  const intermediates = [certificatePem, ...splitPem(chain ?? "")].filter(
    (text) => !roots.includes(new X509Certificate(text).fingerprint256),
  );
  return {
    certificate,
    key,
    intermediates: [...new Set(intermediates.map((text) => text.trim()))].map((text) => `${text}\n`),
    rootPem,
    name,
    ...(keyId ? { keyId } : {}),
    notAfter: certificate.validToDate.getTime(),
  };
}

function readKey(text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch (cause) {
    throw new Error("the key of the authority is not an unencrypted PEM private key", { cause });
  }
}

/** The PEM certificates of a bundle, each on its own. */
export function splitPem(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? [];
}

function lastOf(items: readonly string[]): string | undefined {
  return items.at(-1);
}

const subjectKeyIdentifier = objectIdentifier("2.5.29.14");

/** Subject and subject key identifier of a certificate, as the bytes that a leaf repeats. */
function readNames(certificate: Buffer): { readonly name: Buffer; readonly keyId?: Buffer } {
  const [body] = readElements(readElement(certificate).content);
  // version [0], serial, algorithm, issuer, validity, subject, key, extensions [3]
  const fields = body ? readElements(body.content) : [];
  const subject = fields[5];
  if (!subject) throw new Error("the certificate of the authority has no subject");
  const extensions = fields.find(({ tag }) => tag === 0xa3);
  const list = extensions ? readElements(readElement(extensions.content).content) : [];
  for (const extension of list) {
    const parts = readElements(extension.content);
    const value = parts.at(-1);
    if (value && parts[0]?.whole.equals(subjectKeyIdentifier)) {
      return { name: subject.whole, keyId: readElement(value.content).content };
    }
  }
  return { name: subject.whole };
}
