import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { checkWellFormed, type Element, readElement, readElements } from "./der-reader.ts";
import { bitString, element, integer, objectIdentifier, pem, sequence } from "./der-writer.ts";
import { IssueError } from "./issue-error.ts";

/** The only thing that is taken from a certificate request: the key whose owner signed it. */
export interface CertificateRequest {
  readonly publicKey: KeyObject;
  /** SubjectPublicKeyInfo, DER, as it stands in the request. */
  readonly publicKeyInfo: Buffer;
}

const largestRequest = 16 * 1024;

/** Signature algorithms by the content octets of their identifiers, with the digest and the type of key. */
const signatureAlgorithms: readonly (readonly [oid: string, digest: string, keyType: "ec" | "rsa"])[] = [
  ["1.2.840.10045.4.3.2", "sha256", "ec"],
  ["1.2.840.10045.4.3.3", "sha384", "ec"],
  ["1.2.840.10045.4.3.4", "sha512", "ec"],
  ["1.2.840.113549.1.1.11", "sha256", "rsa"],
  ["1.2.840.113549.1.1.12", "sha384", "rsa"],
  ["1.2.840.113549.1.1.13", "sha512", "rsa"],
];

const algorithmsByOid = new Map(
  signatureAlgorithms.map(([oid, digest, keyType]) => [
    objectIdentifier(oid).toString("hex"),
    { digest, keyType },
  ]),
);

/**
 * Reads a PKCS#10 request (RFC 2986) and checks that it is signed by its own key.
 *
 * Its subject, SANs and extensions are checked for form and then dropped: the CA alone says who somebody is.
 *
 * @param text PEM, one block
 * @throws IssueError `malformed-csr`
 */
export function readCertificateRequest(text: string): CertificateRequest {
  try {
    return readDer(decodePem(text));
  } catch (error) {
    if (error instanceof IssueError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw malformed(reason.split("\n", 1)[0] ?? "unreadable", error);
  }
}

function malformed(reason: string, cause?: unknown): IssueError {
  return new IssueError("malformed-csr", `certificate request is refused: ${reason}`, { cause });
}

function decodePem(text: string): Buffer {
  if (text.length > largestRequest) throw malformed(`it is longer than ${largestRequest} bytes`);
  const block =
    /^\s*-----BEGIN (NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END \1?CERTIFICATE REQUEST-----\s*$/.exec(
      text,
    );
  if (!block?.[2]) throw malformed("it is not one PEM block `CERTIFICATE REQUEST`");
  return Buffer.from(block[2].replace(/\s+/g, ""), "base64");
}

function readDer(der: Buffer): CertificateRequest {
  const [info, algorithm, signature, ...more] = readElements(checkWellFormed(der).content);
  if (info?.tag !== 0x30 || algorithm?.tag !== 0x30 || signature?.tag !== 0x03 || more.length > 0) {
    throw malformed("it is not a PKCS#10 structure");
  }
  const [version, subject, publicKeyInfo] = readElements(info.content);
  if (version?.tag !== 0x02 || subject?.tag !== 0x30 || publicKeyInfo?.tag !== 0x30) {
    throw malformed("it lacks version, subject or public key");
  }
  const publicKey = createPublicKey({ key: publicKeyInfo.whole, format: "der", type: "spki" });
  const keyType = checkKey(publicKey);
  const known = algorithmsByOid.get(readElement(algorithm.content).whole.toString("hex"));
  if (known?.keyType !== keyType)
    throw malformed("its signature algorithm is not SHA-2 with the request's own type of key");
  if (!verify(known.digest, info.whole, publicKey, signatureOctets(signature))) {
    throw malformed("its signature does not verify under its own key");
  }
  return { publicKey, publicKeyInfo: publicKeyInfo.whole };
}

function signatureOctets({ content }: Element): Buffer {
  if (content[0] !== 0) throw malformed("its signature has unused bits");
  return content.subarray(1);
}

/** Small exponents and moduli are refused: forged signatures (CVE-2022-24771) and zero keys (CVE-2026-33891) live there. */
function checkKey(key: KeyObject): "ec" | "rsa" {
  const { namedCurve, modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "ec" && (namedCurve === "prime256v1" || namedCurve === "secp384r1"))
    return "ec";
  if (
    key.asymmetricKeyType === "rsa" &&
    modulusLength >= 2048 &&
    modulusLength <= 4096 &&
    publicExponent >= 65_537n
  ) {
    return "rsa";
  }
  throw malformed("its key is not EC P-256, EC P-384, or RSA of 2048 to 4096 bits with exponent 65537");
}

/**
 * Writes the request of a workload: an empty subject and no SAN, since the CA takes neither.
 *
 * @param key an EC P-256 pair
 * @returns PEM
 */
export function writeCertificateRequest({
  publicKey,
  privateKey,
}: {
  publicKey: KeyObject;
  privateKey: KeyObject;
}): string {
  const info = sequence(
    integer(Buffer.from([0])),
    sequence(),
    publicKey.export({ format: "der", type: "spki" }),
    element(0xa0),
  );
  const algorithm = sequence(objectIdentifier("1.2.840.10045.4.3.2"));
  return pem("CERTIFICATE REQUEST", sequence(info, algorithm, bitString(sign("sha256", info, privateKey))));
}
