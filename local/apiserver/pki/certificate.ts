/**
 * Writes X.509 certificates. node-forge knows the ASN.1 forms only; keys and signatures are node:crypto's.
 *
 * @see RFC 5280 §4.1
 */
import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";
import forge from "node-forge";

const { asn1 } = forge;
type Asn1 = forge.asn1.Asn1;

export interface CertificateRequest {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  /** Host names and IP addresses, for a serving certificate. */
  readonly hosts?: readonly string[];
  readonly use: "authority" | "server" | "client";
  readonly publicKey: KeyObject;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** Who signs: `name` is the common name of the authority's certificate. */
export interface Issuer {
  readonly commonName: string;
  readonly key: KeyObject;
}

const oid = {
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyId: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
};

function node(
  type: forge.asn1.Type,
  constructed: boolean,
  value: string | Asn1[],
  tagClass = asn1.Class.UNIVERSAL,
): Asn1 {
  return asn1.create(tagClass, type, constructed, value);
}

const sequence = (...items: Asn1[]): Asn1 => node(asn1.Type.SEQUENCE, true, items);
const objectId = (id: string): Asn1 => node(asn1.Type.OID, false, asn1.oidToDer(id).getBytes());
const bytes = (buffer: Buffer): string => buffer.toString("binary");
const octets = (content: string): Asn1 => node(asn1.Type.OCTETSTRING, false, content);
const der = (item: Asn1): string => asn1.toDer(item).getBytes();

function name(commonName: string, organizations: readonly string[] = []): Asn1 {
  const attribute = (id: string, text: string) =>
    node(asn1.Type.SET, true, [
      sequence(objectId(id), node(asn1.Type.UTF8, false, forge.util.encodeUtf8(text))),
    ]);
  return sequence(
    ...organizations.map((text) => attribute(oid.organization, text)),
    attribute(oid.commonName, commonName),
  );
}

function extension(id: string, value: Asn1, critical = false): Asn1 {
  const flag = critical ? [node(asn1.Type.BOOLEAN, false, "\xff")] : [];
  return sequence(objectId(id), ...flag, octets(der(value)));
}

/** A choice of GeneralName: [2] dNSName, [7] iPAddress. */
function generalName(host: string): Asn1 {
  const family = isIP(host);
  if (family === 0) return node(2, false, host, asn1.Class.CONTEXT_SPECIFIC);
  return node(7, false, bytes(addressBytes(host)), asn1.Class.CONTEXT_SPECIFIC);
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split(".").map(Number));
  // The URL parser writes an IPv6 address in its shortest form: `::` stands for the missing groups.
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const groups = (text: string) => text.split(":").filter((group) => group !== "");
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const all = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => "0"), ...right];
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex");
}

function keyId(publicKey: KeyObject): string {
  const spki = publicKey.export({ type: "spki", format: "der" });
  return bytes(createHash("sha256").update(spki).digest().subarray(0, 20));
}

function extensions(request: CertificateRequest, issuer: Issuer): Asn1 {
  const authority = request.use === "authority";
  // BIT STRING: unused bits, then bits from the left: digitalSignature 0x80, keyCertSign 0x04, cRLSign 0x02.
  const usage = node(asn1.Type.BITSTRING, false, authority ? "\x01\x86" : "\x07\x80");
  const list = [
    extension(
      oid.basicConstraints,
      sequence(...(authority ? [node(asn1.Type.BOOLEAN, false, "\xff")] : [])),
      true,
    ),
    extension(oid.keyUsage, usage, true),
    extension(oid.subjectKeyId, octets(keyId(request.publicKey))),
    extension(
      oid.authorityKeyId,
      sequence(node(0, false, keyId(createPublicKey(issuer.key)), asn1.Class.CONTEXT_SPECIFIC)),
    ),
  ];
  if (!authority) {
    list.push(
      extension(
        oid.extendedKeyUsage,
        sequence(objectId(request.use === "server" ? oid.serverAuth : oid.clientAuth)),
      ),
    );
  }
  if (request.hosts !== undefined) {
    list.push(extension(oid.subjectAltName, sequence(...request.hosts.map(generalName))));
  }
  return node(3, true, [sequence(...list)], asn1.Class.CONTEXT_SPECIFIC);
}

function time(date: Date): Asn1 {
  return date.getUTCFullYear() < 2050
    ? node(asn1.Type.UTCTIME, false, asn1.dateToUtcTime(date))
    : node(asn1.Type.GENERALIZEDTIME, false, asn1.dateToGeneralizedTime(date));
}

/** A certificate for `request`, signed by `issuer` (ECDSA P-256 with SHA-256), as PEM. */
export function writeCertificate(request: CertificateRequest, issuer: Issuer): string {
  const algorithm = sequence(objectId(oid.ecdsaWithSha256));
  // The first bit is cleared, so that the serial is a positive INTEGER; the second set, so that it has no padding.
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const spki = request.publicKey.export({ type: "spki", format: "der" });
  const body = sequence(
    node(0, true, [node(asn1.Type.INTEGER, false, "\x02")], asn1.Class.CONTEXT_SPECIFIC),
    node(asn1.Type.INTEGER, false, bytes(serial)),
    algorithm,
    name(issuer.commonName),
    sequence(time(request.notBefore), time(request.notAfter)),
    name(request.commonName, request.organizations),
    asn1.fromDer(bytes(spki)),
    extensions(request, issuer),
  );
  const signature = sign("sha256", Buffer.from(der(body), "binary"), issuer.key);
  const certificate = sequence(body, algorithm, node(asn1.Type.BITSTRING, false, `\x00${bytes(signature)}`));
  const base64 = Buffer.from(der(certificate), "binary").toString("base64");
  return `-----BEGIN CERTIFICATE-----\n${base64.match(/.{1,64}/g)?.join("\n") ?? ""}\n-----END CERTIFICATE-----\n`;
}
