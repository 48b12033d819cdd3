import { createHash, type KeyObject, randomBytes, sign } from "node:crypto";
import { readElement, readElements } from "./der-reader.ts";
import {
  bitString,
  boolean,
  element,
  integer,
  nothing,
  objectIdentifier,
  octetString,
  sequence,
  set,
  time,
  utf8String,
} from "./der-writer.ts";

/** A subject's attribute, in the order in which it is written. */
export interface NameAttribute {
  readonly type: "CN" | "O" | "OU";
  readonly value: string;
}

/** What one X.509 v3 certificate says. */
export interface CertificateForm {
  readonly subject: readonly NameAttribute[];
  /** The issuer's subject, DER, byte for byte as it stands in its certificate. */
  readonly issuer: Buffer;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Buffer;
  /** Epoch milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** `ca`: signs leaves and nothing else. `leaf`: client and server of TLS. */
  readonly use: "ca" | "leaf";
  readonly names?: {
    readonly uris?: readonly string[];
    readonly dns?: readonly string[];
    readonly ips?: readonly string[];
  };
  /** Key identifier of the issuer, where its certificate has one. */
  readonly issuerKeyId?: Buffer;
}

const nameTypes = { CN: "2.5.4.3", O: "2.5.4.10", OU: "2.5.4.11" };
const oids = {
  subjectKeyId: objectIdentifier("2.5.29.14"),
  keyUsage: objectIdentifier("2.5.29.15"),
  subjectAltName: objectIdentifier("2.5.29.17"),
  basicConstraints: objectIdentifier("2.5.29.19"),
  authorityKeyId: objectIdentifier("2.5.29.35"),
  extendedKeyUsage: objectIdentifier("2.5.29.37"),
};
const serverAuthentication = objectIdentifier("1.3.6.1.5.5.7.3.1");
const clientAuthentication = objectIdentifier("1.3.6.1.5.5.7.3.2");

/** A distinguished name, DER. */
export function distinguishedName(attributes: readonly NameAttribute[]): Buffer {
  return sequence(
    ...attributes.map(({ type, value }) =>
      set(sequence(objectIdentifier(nameTypes[type]), utf8String(value))),
    ),
  );
}

/** The subject key identifier of a public key: SHA-1 of its bits (RFC 5280 §4.2.1.2, method 1). */
export function keyId(publicKeyInfo: Buffer): Buffer {
  const bits = readElements(readElement(publicKeyInfo).content)[1]?.content.subarray(1) ?? publicKeyInfo;
  return createHash("sha1").update(bits).digest();
}

/**
 * Signs `form` with the issuer's key: SHA-256, or SHA-384 under a P-384 key.
 *
 * @returns DER
 */
export function signCertificate(form: CertificateForm, issuerKey: KeyObject): Buffer {
  const { identifier, digest } = signatureAlgorithm(issuerKey);
  const body = sequence(
    element(0xa0, integer(Buffer.from([2]))),
    integer(serialNumber()),
    identifier,
    form.issuer,
    sequence(time(form.notBefore), time(form.notAfter)),
    distinguishedName(form.subject),
    form.publicKeyInfo,
    element(0xa3, sequence(...extensions(form))),
  );
  return sequence(body, identifier, bitString(sign(digest, body, issuerKey)));
}

/** 127 random bits, never zero and never negative. */
function serialNumber(): Buffer {
  const octets = randomBytes(16);
  octets.writeUInt8((octets.readUInt8(0) & 0x7f) | 0x40, 0);
  return octets;
}

function signatureAlgorithm(key: KeyObject): { readonly identifier: Buffer; readonly digest: string } {
  if (key.asymmetricKeyType === "rsa") {
    return { identifier: sequence(objectIdentifier("1.2.840.113549.1.1.11"), nothing), digest: "sha256" };
  }
  return key.asymmetricKeyDetails?.namedCurve === "secp384r1"
    ? { identifier: sequence(objectIdentifier("1.2.840.10045.4.3.3")), digest: "sha384" }
    : { identifier: sequence(objectIdentifier("1.2.840.10045.4.3.2")), digest: "sha256" };
}

function extensions({ use, subject, names, publicKeyInfo, issuerKeyId }: CertificateForm): Buffer[] {
  const list = [
    use === "ca"
      ? critical(oids.basicConstraints, sequence(boolean(true), integer(Buffer.from([0]))))
      : critical(oids.basicConstraints, sequence()),
    // keyCertSign and cRLSign, or digitalSignature and keyEncipherment
    critical(
      oids.keyUsage,
      use === "ca" ? bitString(Buffer.from([0x06]), 1) : bitString(Buffer.from([0xa0]), 5),
    ),
    extension(oids.subjectKeyId, octetString(keyId(publicKeyInfo))),
  ];
  if (issuerKeyId) list.push(extension(oids.authorityKeyId, sequence(element(0x80, issuerKeyId))));
  if (use === "leaf") {
    list.push(extension(oids.extendedKeyUsage, sequence(serverAuthentication, clientAuthentication)));
  }
  if (names) {
    const alternatives = sequence(
      ...(names.uris ?? []).map((uri) => element(0x86, Buffer.from(uri, "ascii"))),
      ...(names.dns ?? []).map((name) => element(0x82, Buffer.from(name, "ascii"))),
      ...(names.ips ?? []).map((ip) => element(0x87, addressOctets(ip))),
    );
    // RFC 5280 §4.2.1.6: the SAN is critical where the subject is empty
    const write = subject.length === 0 ? critical : extension;
    list.push(write(oids.subjectAltName, alternatives));
  }
  return list;
}

function extension(oid: Buffer, value: Buffer): Buffer {
  return sequence(oid, octetString(value));
}

function critical(oid: Buffer, value: Buffer): Buffer {
  return sequence(oid, boolean(true), octetString(value));
}

/** An IP address as its 4 or 16 octets. */
function addressOctets(ip: string): Buffer {
  if (!ip.includes(":")) return Buffer.from(ip.split(".").map(Number));
  const [head = "", tail] = ip.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => "0"), ...right];
  return Buffer.from(
    groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]),
  );
}
