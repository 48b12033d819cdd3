import { constants, createHmac, timingSafeEqual, verify } from "node:crypto";
import type { Key } from "./key-set.ts";
import type { Signed } from "./token.ts";

/** What became of a token's signature; the failures in Envoy's words. */
export type SignatureStatus =
  | "ok"
  | "Jwt verification fails"
  | "Jwks doesn't have key to match kid or alg from Jwt"
  | "Jwt ED25519 signature is wrong length";

/**
 * Verifies a token's signature with a key set, as Envoy does: keys of another id or algorithm are passed over where both
 * sides name one; the type of the key, not the token's header, says how it is verified.
 */
export function verifySignature(token: Signed, keys: readonly Key[]): SignatureStatus {
  let fits = false;
  for (const key of keys) {
    if (token.keyId !== "" && key.id !== "" && key.id !== token.keyId) continue;
    if (key.algorithm !== "" && key.algorithm !== token.algorithm) continue;
    fits = true;
    if (key.type === "OKP" && token.signature.length !== 64) return "Jwt ED25519 signature is wrong length";
    if (verifyWith(key, token)) return "ok";
  }
  return fits ? "Jwt verification fails" : "Jwks doesn't have key to match kid or alg from Jwt";
}

function verifyWith(key: Key, { algorithm, signed, signature }: Signed): boolean {
  const hash = hashOf(key.type, algorithm);
  switch (key.type) {
    case "EC": {
      const halves = fixedHalves(signature, key.half);
      return (
        halves !== undefined && verify(hash, signed, { key: key.key, dsaEncoding: "ieee-p1363" }, halves)
      );
    }
    case "RSA":
      if (algorithm.startsWith("RS")) return verify(hash, signed, key.key, signature);
      return (
        algorithm.startsWith("PS") &&
        verify(
          hash,
          signed,
          {
            key: key.key,
            padding: constants.RSA_PKCS1_PSS_PADDING,
            saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
          },
          signature,
        )
      );
    case "OKP":
      return verify(null, signed, key.key, signature);
    case "oct": {
      const expected = createHmac(hash, key.secret).update(signed).digest();
      return expected.length === signature.length && timingSafeEqual(expected, signature);
    }
  }
}

/** SHA-256 unless the token's algorithm is one of the key's family that says otherwise. */
function hashOf(type: Key["type"], algorithm: string): string {
  const families = { EC: ["ES"], RSA: ["RS", "PS"], oct: ["HS"], OKP: [] } as const;
  const bits = (families[type] as readonly string[]).includes(algorithm.slice(0, 2))
    ? algorithm.slice(2)
    : "256";
  return bits === "384" || bits === "512" ? `sha${bits}` : "sha256";
}

/** The two halves of a signature at the curve's length; Envoy halves what it gets and drops leading zeros. */
function fixedHalves(signature: Buffer, half: number): Buffer | undefined {
  if (signature.length === 2 * half) return signature;
  const middle = signature.length >> 1;
  const out = Buffer.alloc(2 * half);
  for (const [index, part] of [
    signature.subarray(0, middle),
    signature.subarray(middle, 2 * middle),
  ].entries()) {
    const from = part.findIndex((byte) => byte !== 0);
    const bare = from < 0 ? part.subarray(part.length) : part.subarray(from);
    if (bare.length > half) return undefined;
    bare.copy(out, (index + 1) * half - bare.length);
  }
  return out;
}
