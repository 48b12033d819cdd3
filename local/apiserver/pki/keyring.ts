import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CertificateRequest, type Issuer, writeCertificate } from "./certificate.ts";

const authorityName = "fairlead-kubernetes-ca";
const day = 86_400_000;

/** A PEM certificate with its PEM private key. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** Everything secret that the API server owns. */
export interface Keyring {
  readonly ca: string;
  readonly serving: KeyPair;
  readonly admin: KeyPair;
  /** Signs service account tokens (ES256). */
  readonly tokenKey: KeyObject;
}

/**
 * The keys and certificates in `directory`, made at the first call (files of mode 0600).
 *
 * Leaves are made again when less than a tenth of their year is left, or when `hosts` asks for a name
 * that the serving certificate lacks. The authority lasts ten years.
 */
export function openKeyring(directory: string, hosts: readonly string[], now: number): Keyring {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const authorityKey = openKey(join(directory, "ca.key"));
  const issuer: Issuer = { commonName: authorityName, key: authorityKey };
  const open = (
    file: string,
    request: Omit<CertificateRequest, "publicKey" | "notBefore" | "notAfter">,
    days: number,
  ) => openCertificate(directory, file, request, days, issuer, now);
  const authority = open("ca", { commonName: authorityName, use: "authority" }, 3650);
  return {
    ca: authority.certificate,
    serving: open("serving", { commonName: "kube-apiserver", use: "server", hosts }, 365),
    admin: open(
      "admin",
      { commonName: "fairlead-admin", organizations: ["system:masters"], use: "client" },
      365,
    ),
    tokenKey: openKey(join(directory, "service-account.key")),
  };
}

function openKey(path: string): KeyObject {
  if (existsSync(path)) return createPrivateKey(readFileSync(path, "utf8"));
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeSecret(path, pem(privateKey));
  return privateKey;
}

function openCertificate(
  directory: string,
  file: string,
  request: Omit<CertificateRequest, "publicKey" | "notBefore" | "notAfter">,
  days: number,
  issuer: Issuer,
  now: number,
): KeyPair {
  const path = join(directory, `${file}.crt`);
  const key = openKey(join(directory, `${file}.key`));
  if (existsSync(path)) {
    const certificate = readFileSync(path, "utf8");
    if (stillGood(certificate, request.hosts ?? [], issuer, days, now)) return { certificate, key: pem(key) };
  }
  const certificate = writeCertificate(
    {
      ...request,
      publicKey: createPublicKey(key),
      // An hour back, for clients whose clock is behind.
      notBefore: new Date(now - 3_600_000),
      notAfter: new Date(now + days * day),
    },
    issuer,
  );
  writeSecret(path, certificate);
  return { certificate, key: pem(key) };
}

function stillGood(
  text: string,
  hosts: readonly string[],
  issuer: Issuer,
  days: number,
  now: number,
): boolean {
  const certificate = new X509Certificate(text);
  return (
    Date.parse(certificate.validTo) - now > (days * day) / 10 &&
    certificate.verify(createPublicKey(issuer.key)) &&
    hosts.every(
      (host) => certificate.checkHost(host) !== undefined || certificate.checkIP(host) !== undefined,
    )
  );
}

function pem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

/** Whole or not at all: a crash leaves the old file or the new one. */
function writeSecret(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
