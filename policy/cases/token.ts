import {
  constants,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";
import type { RequestAuthentication } from "../../api/kinds.ts";
import type { Case, CaseToken } from "./read.ts";

interface Pair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** The keys that cases name, made once a run: `rsa*` RSA-2048, `ec*` P-256, `d*` Ed25519, `hmac*` 32 random bytes. */
export class KeyRing {
  private readonly pairs = new Map<string, Pair>();
  private readonly secrets = new Map<string, Buffer>();

  pair(ref: string): Pair {
    let pair = this.pairs.get(ref);
    if (pair === undefined) {
      if (ref.startsWith("ec")) pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
      else if (ref.startsWith("d")) pair = generateKeyPairSync("ed25519");
      else pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
      this.pairs.set(ref, pair);
    }
    return pair;
  }

  secret(ref: string): Buffer {
    let secret = this.secrets.get(ref);
    if (secret === undefined) {
      secret = randomBytes(32);
      this.secrets.set(ref, secret);
    }
    return secret;
  }

  /** The public key of a pair as a JWK, with the members that the case gives; one without `ref` stays as it is. */
  jwk({ ref, ...members }: Readonly<Record<string, unknown>> & { readonly ref?: string }): object {
    if (ref === undefined) return members;
    if (ref.startsWith("hmac")) return { kty: "oct", k: this.secret(ref).toString("base64url"), ...members };
    return { ...this.pair(ref).publicKey.export({ format: "jwk" }), ...members };
  }
}

/** The RequestAuthentication that a case's rules stand for, undefined where it has none. */
export function authenticationOf(
  { requestAuthentication, workload }: Case,
  keys: KeyRing,
): RequestAuthentication | undefined {
  if (requestAuthentication === undefined) return undefined;
  const jwtRules = requestAuthentication.map(({ jwks, _remoteDown, issuer, ...rule }) => ({
    issuer: issuer ?? "",
    ...rule,
    ...(jwks === undefined ? {} : { jwks: jwksText(jwks, keys) }),
  }));
  return {
    apiVersion: "security.istio.io/v1",
    kind: "RequestAuthentication",
    metadata: { name: "case", namespace: workload?.namespace ?? "foo" },
    spec: { jwtRules },
  };
}

function jwksText(jwks: unknown, keys: KeyRing): string {
  if (typeof jwks === "string") return jwks;
  const set = jwks as { readonly keys?: readonly Parameters<KeyRing["jwk"]>[0][] };
  return JSON.stringify(
    Array.isArray(set.keys) ? { ...set, keys: set.keys.map((key) => keys.jwk(key)) } : set,
  );
}

const base64url = (value: unknown): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** `now+N` is N seconds from now, as a number, wherever it stands. */
function timed(value: unknown, now: number): unknown {
  if (typeof value === "string") {
    const offset = /^now([+-]\d+)?$/.exec(value);
    return offset ? now + Number(offset[1] ?? 0) : value;
  }
  if (Array.isArray(value)) return value.map((element) => timed(element, now));
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, timed(inner, now)]));
  return value;
}

/** Makes a case's token. `now` in epoch seconds. */
export function makeToken(token: CaseToken, keys: KeyRing, now: number): string {
  if (token.raw !== undefined) return token.raw;
  const key = token.key ?? "none";
  const jwk = () => keys.pair(key).publicKey.export({ format: "jwk" });
  const header = JSON.parse(JSON.stringify(token.header ?? {}), (_, value: unknown) =>
    value === "@jwk" ? jwk() : value,
  ) as Record<string, unknown>;
  const payload = token.payloadRaw ?? timed(token.claims ?? {}, now);
  const signed = `${base64url(header)}.${base64url(payload)}`;
  const algorithm = token.signWith ?? (typeof header.alg === "string" ? header.alg : "RS256");
  const signature = key === "none" ? Buffer.alloc(0) : signatureOf(token, key, algorithm, signed, keys);
  return tamper(token.tamper, signed, signature, payload);
}

function signatureOf(
  { hmacPublicPemOf, derSignature, zeroSignature }: CaseToken,
  ref: string,
  algorithm: string,
  signed: string,
  keys: KeyRing,
): Buffer {
  if (zeroSignature) return Buffer.alloc(64);
  const bits = /(256|384|512)$/.exec(algorithm)?.[1] ?? "256";
  const hash = `sha${bits}`;
  if (hmacPublicPemOf !== undefined) {
    const pem = keys.pair(hmacPublicPemOf).publicKey.export({ format: "pem", type: "spki" });
    return createHmac(hash, pem).update(signed).digest();
  }
  if (ref.startsWith("hmac")) return createHmac(hash, keys.secret(ref)).update(signed).digest();
  const { privateKey } = keys.pair(ref);
  const bytes = Buffer.from(signed);
  switch (privateKey.asymmetricKeyType) {
    case "ed25519":
      return sign(null, bytes, privateKey);
    case "ec":
      return sign(hash, bytes, { key: privateKey, dsaEncoding: derSignature ? "der" : "ieee-p1363" });
    default:
      if (algorithm.startsWith("HS")) {
        const pem = createPublicKey(privateKey).export({ format: "pem", type: "spki" });
        return createHmac(hash, pem).update(signed).digest();
      }
      return algorithm.startsWith("PS")
        ? sign(hash, bytes, {
            key: privateKey,
            padding: constants.RSA_PKCS1_PSS_PADDING,
            saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
          })
        : sign(hash, bytes, privateKey);
  }
}

function tamper(how: CaseToken["tamper"], signed: string, signature: Buffer, payload: unknown): string {
  const [header = "", body = ""] = signed.split(".");
  const whole = `${signed}.${signature.toString("base64url")}`;
  switch (how) {
    case "payload":
      return `${header}.${base64url({ ...(payload as object), tampered: true })}.${signature.toString("base64url")}`;
    case "signature": {
      const changed = Buffer.from(signature);
      changed[0] = (changed[0] ?? 0) ^ 1;
      return `${signed}.${changed.toString("base64url")}`;
    }
    case "truncate":
      return whole.slice(0, -8);
    case "two-parts":
      return signed;
    case "fourth-part":
      return `${whole}.x`;
    case "padded":
      return [header, body, signature.toString("base64url")]
        .map((part) => part + "=".repeat((4 - (part.length % 4)) % 4))
        .join(".");
    case undefined:
      return whole;
  }
}
