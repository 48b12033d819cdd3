/** Verifying tokens: all that our evaluator does with one, jose, and node:crypto's verify alone. */
import { constants, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import { performance } from "node:perf_hooks";
import { createLocalJWKSet, jwtVerify } from "jose";
import { authenticate } from "../../policy/jwt/authenticate.ts";
import type { JwtRule } from "../../policy/model.ts";
import { quantile } from "../rollback/figures.ts";

export interface TokenTimes {
  /** Microseconds a token, medians: reading it, finding the key, its claims and its signature. */
  readonly own: number;
  readonly jose: number;
  /** Of the signature alone. */
  readonly bare: number;
}

const issuer = "https://issuer.example.com";
const rounds = 12;
const tokensARound = 150;

export async function tokenTimes(algorithm: "RS256" | "ES256"): Promise<TokenTimes> {
  const pair =
    algorithm === "RS256"
      ? generateKeyPairSync("rsa", { modulusLength: 2048 })
      : generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = { ...pair.publicKey.export({ format: "jwk" }), kid: "one", alg: algorithm };
  const jwks = JSON.stringify({ keys: [jwk] });
  const rules = [jwtRule(jwks)];
  const keys = createLocalJWKSet({ keys: [jwk] });
  const publicKey = createPublicKey({ key: jwk, format: "jwk" });
  // Tokens differ, so that nobody can remember an answer.
  const tokens = Array.from({ length: tokensARound }, (_, index) =>
    makeToken(algorithm, pair.privateKey, index),
  );
  const times = { own: [] as number[], jose: [] as number[], bare: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    times.own.push(perToken(tokens, ({ text }) => verifyOwn(rules, text)));
    times.bare.push(perToken(tokens, (token) => verifyBare(algorithm, publicKey, token)));
    const start = performance.now();
    for (const { text } of tokens) await jwtVerify(text, keys, { issuer });
    times.jose.push(((performance.now() - start) * 1000) / tokensARound);
  }
  // The first round is to get warm.
  const median = (values: readonly number[]) => quantile(values.slice(1), 0.5);
  return { own: median(times.own), jose: median(times.jose), bare: median(times.bare) };
}

interface Token {
  readonly text: string;
  readonly signed: Buffer;
  readonly signature: Buffer;
}

function makeToken(algorithm: string, key: KeyObject, index: number): Token {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: issuer,
    sub: `user-${index}`,
    aud: "orders",
    iat: now,
    exp: now + 3600,
    scope: "read",
  };
  const text = `${part({ alg: algorithm, kid: "one", typ: "JWT" })}.${part(claims)}`;
  const signed = Buffer.from(text);
  const signature = sign("sha256", signed, { key, dsaEncoding: "ieee-p1363" });
  return { text: `${text}.${signature.toString("base64url")}`, signed, signature };
}

function verifyOwn(rules: readonly JwtRule[], text: string): void {
  const headers = new Map([["authorization", [`Bearer ${text}`]]]);
  const answer = authenticate(rules, { path: "/", headers }, Date.now());
  if (answer.kind !== "verified") throw new Error(`a good token is ${answer.kind}`);
}

function verifyBare(algorithm: string, key: KeyObject, { signed, signature }: Token): void {
  const options =
    algorithm === "RS256"
      ? { key, padding: constants.RSA_PKCS1_PADDING }
      : { key, dsaEncoding: "ieee-p1363" as const };
  if (!verify("sha256", signed, options, signature)) throw new Error("a good signature does not verify");
}

function perToken(tokens: readonly Token[], verifyOne: (token: Token) => void): number {
  const start = performance.now();
  for (const token of tokens) verifyOne(token);
  return ((performance.now() - start) * 1000) / tokensARound;
}

function jwtRule(jwks: string): JwtRule {
  return {
    name: "origins-0",
    issuer,
    audiences: [],
    jwks,
    fromHeaders: [],
    fromParams: [],
    fromCookies: [],
    forward: false,
    payloadHeader: undefined,
    claimHeaders: [],
    spaceDelimitedClaims: ["scope", "permission"],
  };
}
