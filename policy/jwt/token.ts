import { decodeBase64url } from "./base64url.ts";
import { readJsonObject } from "./json.ts";

/** A token whose form is right; nothing of it is proven yet. */
export interface Token extends Signed {
  readonly claims: Readonly<Record<string, unknown>>;
  /** Empty where there is none. */
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** Epoch seconds, 0 where the claim is missing. */
  readonly expires: number;
  readonly notBefore: number;
}

/** The algorithms of RFC 7518 that Envoy knows. `none` is none of them. */
const algorithms = /^(?:(?:RS|PS|ES|HS)(?:256|384|512)|EdDSA)$/;
const biggest = 2 ** 64;

/** The parts of a signed text (RFC 7515, compact) before its payload is looked at. */
export interface Signed {
  readonly algorithm: string;
  /** Empty where the header names none. */
  readonly keyId: string;
  /** What was signed. */
  readonly signed: Buffer;
  readonly signature: Buffer;
  /** The middle part as it stands. */
  readonly payload: string;
}

const wrong = (what: string) => ({ wrong: what });

/** Takes a token apart as Envoy does, or says what is wrong with it in Envoy's words. */
export function readSigned(text: string): Signed | { readonly wrong: string } {
  const parts = text.split(".").filter((part) => part !== "");
  const [first, payload, last] = parts;
  if (parts.length !== 3 || first === undefined || payload === undefined || last === undefined)
    return wrong("Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections");
  const headerBytes = decodeBase64url(first);
  if (headerBytes === undefined) return wrong("Jwt header is an invalid Base64url encoded");
  const header = readJsonObject(headerBytes);
  if (header === undefined) return wrong("Jwt header is an invalid JSON");
  const { alg, kid } = header;
  if (typeof alg !== "string") return wrong("Jwt header [alg] field is required and must be a string");
  if (!algorithms.test(alg)) return wrong("Jwt header [alg] is not supported");
  if (kid !== undefined && typeof kid !== "string") return wrong("Jwt header [kid] field is not a string");
  const signature = decodeBase64url(last);
  if (signature === undefined) return wrong("Jwt signature is an invalid Base64url encoded");
  return {
    algorithm: alg,
    keyId: kid ?? "",
    signed: Buffer.from(`${first}.${payload}`),
    signature,
    payload,
  };
}

/** Reads a token as Envoy does, or says what is wrong with it in Envoy's words. */
export function readToken(text: string): Token | { readonly wrong: string } {
  const parts = readSigned(text);
  if (isWrong(parts)) return parts;
  const claimBytes = decodeBase64url(parts.payload);
  if (claimBytes === undefined) return wrong("Jwt payload is an invalid Base64url encoded");
  const claims = readJsonObject(claimBytes);
  if (claims === undefined) return wrong("Jwt payload is an invalid JSON");
  const problem = wrongClaim(claims);
  if (problem !== undefined) return wrong(problem);
  return {
    ...parts,
    claims,
    issuer: typeof claims.iss === "string" ? claims.iss : "",
    audiences: typeof claims.aud === "string" ? [claims.aud] : Array.isArray(claims.aud) ? claims.aud : [],
    expires: typeof claims.exp === "number" ? Math.trunc(claims.exp) : 0,
    notBefore: typeof claims.nbf === "number" ? Math.trunc(claims.nbf) : 0,
  };
}

/** Whether a text is one of the failures of {@link readToken}. */
export function isWrong(token: object): token is { readonly wrong: string } {
  return "wrong" in token;
}

/** The first registered claim of a wrong type, in words. */
function wrongClaim(claims: Readonly<Record<string, unknown>>): string | undefined {
  for (const name of ["iss", "sub"])
    if (name in claims && typeof claims[name] !== "string")
      return `Jwt payload [${name}] field is not a string`;
  for (const name of ["iat", "nbf", "exp"]) {
    const value = claims[name];
    if (value === undefined) continue;
    if (typeof value !== "number") return `Jwt payload [${name}] field is not an integer`;
    if (value < 0 || value >= biggest) return `Jwt payload [${name}] field is not a positive 64 bit integer`;
  }
  if ("jti" in claims && typeof claims.jti !== "string") return "Jwt payload [jti] field is not a string";
  const { aud } = claims;
  const isText = (value: unknown) => typeof value === "string";
  if (aud !== undefined && !isText(aud) && !(Array.isArray(aud) && aud.every(isText)))
    return "Jwt payload [aud] field is not a string or string list";
  return undefined;
}
