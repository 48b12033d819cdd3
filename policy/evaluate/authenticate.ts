import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from "jose";
import type { JwtRule } from "../model.ts";

/** A token that a request carries, and where. */
export interface CarriedToken {
  readonly token: string;
  readonly in:
    | { readonly kind: "header"; readonly name: string; readonly prefix: string }
    | { readonly kind: "param"; readonly name: string }
    | { readonly kind: "cookie"; readonly name: string };
}

export type Authentication =
  /** No token where a rule looks for one. */
  | { readonly kind: "anonymous" }
  | { readonly kind: "verified"; readonly claims: Readonly<Record<string, unknown>>; readonly rule: JwtRule }
  /** Answered 401. */
  | { readonly kind: "refused"; readonly reason: string };

/**
 * Verifies the tokens of a request by the workload's token rules, as Envoy's jwt_authn filter does.
 *
 * `now` in epoch milliseconds. A request without a token is anonymous, never refused.
 */
export async function authenticate(
  rules: readonly JwtRule[],
  tokens: readonly CarriedToken[],
  now: number,
): Promise<Authentication> {
  const found = tokens.filter((carried) => rules.some((rule) => looksAt(rule, carried)));
  const [first] = found;
  if (first === undefined) return { kind: "anonymous" };
  let refusal = "Jwt issuer is not configured";
  for (const carried of found) {
    for (const rule of rules.filter((each) => looksAt(each, carried))) {
      const answer = await verify(rule, carried.token, now);
      if (answer.kind === "verified") return answer;
      if (answer.kind === "refused" && answer.reason !== "Jwt issuer is not configured")
        refusal = answer.reason;
    }
  }
  return { kind: "refused", reason: refusal };
}

function looksAt(rule: JwtRule, { in: place }: CarriedToken): boolean {
  const named = rule.fromHeaders.length + rule.fromParams.length + rule.fromCookies.length > 0;
  switch (place.kind) {
    case "header":
      if (!named) return place.name.toLowerCase() === "authorization" && place.prefix === "Bearer ";
      return rule.fromHeaders.some(
        ({ name, prefix }) => name.toLowerCase() === place.name.toLowerCase() && prefix === place.prefix,
      );
    case "param":
      return named ? rule.fromParams.includes(place.name) : place.name === "access_token";
    case "cookie":
      return rule.fromCookies.includes(place.name);
  }
}

async function verify(rule: JwtRule, token: string, now: number): Promise<Authentication> {
  try {
    if (decodeJwt(token).iss !== rule.issuer)
      return { kind: "refused", reason: "Jwt issuer is not configured" };
    if (rule.jwks === undefined) return { kind: "refused", reason: "Jwks remote fetch is failed" };
    const keys: JSONWebKeySet = JSON.parse(rule.jwks);
    const { payload } = await jwtVerify(token, createLocalJWKSet(keys), {
      issuer: rule.issuer,
      // Envoy's own tolerance.
      clockTolerance: 60,
      currentDate: new Date(now),
      algorithms: algorithmsOf(token),
    });
    if (rule.audiences.length > 0 && !hasAudience(payload.aud, rule.audiences))
      return { kind: "refused", reason: "Audiences in Jwt are not allowed" };
    return { kind: "verified", claims: splitClaims(payload, rule.spaceDelimitedClaims), rule };
  } catch (error) {
    return { kind: "refused", reason: error instanceof Error ? error.message : String(error) };
  }
}

/** Only asymmetric algorithms: a key set is public, so no secret may ever verify a token. */
function algorithmsOf(token: string): string[] {
  const { alg } = decodeProtectedHeader(token);
  const allowed = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
  ];
  return allowed.filter((name) => name === alg);
}

/** Envoy compares audiences without scheme and trailing slash. */
function hasAudience(aud: string | readonly string[] | undefined, allowed: readonly string[]): boolean {
  const bare = (text: string) => text.replace(/^https?:\/\//, "").replace(/\/$/, "");
  const given = typeof aud === "string" ? [aud] : (aud ?? []);
  return given.some((each) => allowed.some((one) => bare(one) === bare(each)));
}

function splitClaims(payload: object, names: readonly string[]): Record<string, unknown> {
  const claims: Record<string, unknown> = Object.assign(Object.create(null), payload);
  for (const name of names) {
    const value = claims[name];
    if (typeof value === "string") claims[name] = value.split(" ").filter((part) => part !== "");
  }
  return claims;
}
