import { createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { decodeBase64url } from "./base64url.ts";

/** A key that tokens are verified with. Empty `id` and `algorithm` fit any token. */
export type Key = { readonly id: string; readonly algorithm: string } & (
  | { readonly type: "RSA" | "OKP"; readonly key: KeyObject }
  | {
      readonly type: "EC";
      readonly key: KeyObject /** Bytes of one half of a signature. */;
      readonly half: number;
    }
  | { readonly type: "oct"; readonly secret: Buffer }
);

const curves: Readonly<Record<string, { readonly algorithm: string; readonly half: number }>> = {
  "P-256": { algorithm: "ES256", half: 32 },
  "P-384": { algorithm: "ES384", half: 48 },
  "P-521": { algorithm: "ES512", half: 66 },
};

/** Sets that were read before: a rule's text stays the same while its keys do. */
const known = new Map<string, readonly Key[]>();
const mostKnown = 1000;

/**
 * The usable keys of a key set (RFC 7517), or of certificates by key id; those that Envoy cannot read are left out.
 *
 * @returns undefined where the text is no key set or no key of it can be used
 */
export function readKeySet(text: string): readonly Key[] | undefined {
  let keys = known.get(text);
  if (keys === undefined) {
    keys = parse(text);
    if (known.size >= mostKnown) known.clear();
    known.set(text, keys);
  }
  return keys.length === 0 ? undefined : keys;
}

function parse(text: string): readonly Key[] {
  try {
    const set: unknown = JSON.parse(text);
    if (typeof set !== "object" || set === null) return [];
    if (!("keys" in set)) return readCertificates(set);
    if (!Array.isArray(set.keys)) return [];
    return set.keys.flatMap((jwk: unknown) => (isRecord(jwk) ? (readKey(jwk) ?? []) : []));
  } catch {
    return [];
  }
}

/** Certificates in PEM by key id, as some issuers publish them. */
function readCertificates(set: object): Key[] {
  return Object.entries(set).map(([id, pem]): Key => {
    const { publicKey } = new X509Certificate(String(pem));
    if (publicKey.asymmetricKeyType !== "rsa") throw new TypeError("no RSA key");
    return { id, algorithm: "", type: "RSA", key: publicKey };
  });
}

/** One key; undefined where its members do not fit together or it cannot be used. */
function readKey(jwk: Readonly<Record<string, unknown>>): Key | undefined {
  const { kty, k, crv } = jwk;
  const id = typeof jwk.kid === "string" ? jwk.kid : "";
  const algorithm = typeof jwk.alg === "string" ? jwk.alg : "";
  switch (kty) {
    case "RSA":
      if (algorithm !== "" && !/^(RS|PS)/.test(algorithm)) return undefined;
      if (!["AQAB", "Aw", "AAEAAQ"].includes(String(jwk.e))) return undefined;
      return withKey(jwk, ["n", "e"], (key) => ({ id, algorithm, type: "RSA", key }));
    case "EC": {
      const name = typeof crv === "string" ? crv : curveOf(algorithm);
      const curve = curves[name];
      if (curve === undefined || (algorithm !== "" && algorithm !== curve.algorithm)) return undefined;
      const { half } = curve;
      return withKey({ ...jwk, crv: name }, ["crv", "x", "y"], (key) => ({
        id,
        algorithm,
        type: "EC",
        key,
        half,
      }));
    }
    case "OKP":
      if (crv !== "Ed25519" || (algorithm !== "" && algorithm !== "EdDSA")) return undefined;
      return withKey(jwk, ["crv", "x"], (key) => ({ id, algorithm, type: "OKP", key }));
    case "oct": {
      if (algorithm !== "" && !/^HS(256|384|512)$/.test(algorithm)) return undefined;
      const secret = typeof k === "string" ? decodeBase64url(k) : undefined;
      return secret?.length ? { id, algorithm, type: "oct", secret } : undefined;
    }
    default:
      return undefined;
  }
}

function curveOf(algorithm: string): string {
  if (algorithm === "") return "P-256";
  return Object.keys(curves).find((name) => curves[name]?.algorithm === algorithm) ?? "";
}

function withKey(
  jwk: Readonly<Record<string, unknown>>,
  members: readonly string[],
  make: (key: KeyObject) => Key,
): Key | undefined {
  const needed = Object.fromEntries(members.map((name) => [name, jwk[name]]));
  if (Object.values(needed).some((value) => typeof value !== "string")) return undefined;
  try {
    return make(createPublicKey({ key: { kty: String(jwk.kty), ...needed }, format: "jwk" }));
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
