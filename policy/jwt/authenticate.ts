import type { JwtRule } from "../model.ts";
import { claimHeader } from "./claim-header.ts";
import { type CarriedToken, type Carrier, extractTokens } from "./extract.ts";
import { readKeySet } from "./key-set.ts";
import { verifySignature } from "./signature.ts";
import { isWrong, readToken, type Token } from "./token.ts";

export type Authentication =
  /** No token where a rule looks for one. */
  | { readonly kind: "anonymous" }
  | {
      readonly kind: "verified";
      /** As policies see them: some are split into lists. */
      readonly claims: Readonly<Record<string, unknown>>;
      readonly accepted: readonly Accepted[];
    }
  | { readonly kind: "refused"; readonly status: 401 | 403; readonly reason: string };

/** A token that was accepted, and by which rule. */
export interface Accepted {
  readonly carried: CarriedToken;
  readonly token: Token;
  readonly rule: JwtRule;
}

/** Envoy's tolerance, in seconds. */
const clockSkew = 60;
const unknownIssuer = "Jwt issuer is not configured";
const missing = "Jwt is missing";
const badAudience = "Audiences in Jwt are not allowed";

type Outcome = { readonly accepted: readonly Accepted[] } | { readonly failed: string };

/**
 * Verifies the tokens of a request by the workload's token rules, as Envoy's jwt_authn filter does with the requirement
 * that Istio writes: a rule is satisfied, or no rule finds a token.
 *
 * `now` in epoch milliseconds. A request without a token is anonymous, never refused. Of a CORS preflight no token is
 * read; see {@link isPreflight}.
 */
export function authenticate(rules: readonly JwtRule[], carrier: Carrier, now: number): Authentication {
  if (rules.length === 0) return { kind: "anonymous" };
  const failures: string[] = [];
  for (const rule of rules) {
    const outcome = verifyAll(extractTokens([rule], carrier), [rule], now);
    if ("accepted" in outcome) return verified(outcome.accepted);
    failures.push(outcome.failed);
  }
  if (failures.every((failure) => failure === missing)) return { kind: "anonymous" };
  if (rules.length === 1) {
    // The requirement's other half, a missing token, reads each token again by the rule of its issuer.
    const again = verifyAll(extractTokens(rules, carrier), rules, now);
    if ("accepted" in again) return verified(again.accepted);
  }
  const reason =
    failures.findLast((failure) => failure !== missing && failure !== unknownIssuer) ?? unknownIssuer;
  return { kind: "refused", status: reason === badAudience ? 403 : 401, reason };
}

/** Whether a request asks by CORS whether it may be sent: tokens are not looked at then. */
export function isPreflight(method: string, headers: Carrier["headers"]): boolean {
  const given = (name: string) => (headers.get(name) ?? []).some((line) => line !== "");
  return method === "OPTIONS" && given("origin") && given("access-control-request-method");
}

/** All tokens must be good, the last found first. */
function verifyAll(tokens: readonly CarriedToken[], rules: readonly JwtRule[], now: number): Outcome {
  if (tokens.length === 0) return { failed: missing };
  const accepted: Accepted[] = [];
  for (const carried of tokens.toReversed()) {
    const outcome = verifyOne(carried, rules, now);
    if (typeof outcome === "string") return { failed: outcome };
    accepted.push(outcome);
  }
  return { accepted };
}

function verifyOne(carried: CarriedToken, rules: readonly JwtRule[], now: number): Accepted | string {
  const token = readToken(carried.text);
  if (isWrong(token)) return token.wrong;
  const rule =
    rules.find(({ issuer }) => issuer === token.issuer) ?? rules.find(({ issuer }) => issuer === "");
  if (rule === undefined || (carried.issuers && !carried.issuers.has(token.issuer))) return unknownIssuer;
  const seconds = Math.floor(now / 1000);
  if (seconds + clockSkew < token.notBefore) return "Jwt not yet valid";
  if (token.expires !== 0 && seconds > token.expires + clockSkew) return "Jwt is expired";
  if (!isAudience(token.audiences, rule.audiences)) return badAudience;
  if (rule.jwks === undefined) return "Jwks remote fetch is failed";
  const keys = readKeySet(rule.jwks);
  if (keys === undefined) return "Jwks doesn't have any valid public key";
  const status = verifySignature(token, keys);
  return status === "ok" ? { carried, token, rule } : status;
}

/** Audiences are compared without scheme and trailing slash. */
function isAudience(given: readonly string[], allowed: readonly string[]): boolean {
  const bare = (text: string) => text.replace(/^https?:\/\//, "").replace(/\/$/, "");
  return allowed.length === 0 || given.some((each) => allowed.some((one) => bare(one) === bare(each)));
}

/** The token that was read first is verified last, and its claims stay. */
function verified(accepted: readonly Accepted[]): Authentication {
  const last = accepted.at(-1);
  if (last === undefined) return { kind: "anonymous" };
  return {
    kind: "verified",
    claims: splitClaims(last.token.claims, last.rule.spaceDelimitedClaims),
    accepted,
  };
}

function splitClaims(
  payload: Readonly<Record<string, unknown>>,
  names: readonly string[],
): Readonly<Record<string, unknown>> {
  const claims: Record<string, unknown> = Object.assign(Object.create(null), payload);
  for (const name of names) {
    const value = claims[name];
    if (typeof value === "string") claims[name] = value.split(" ").filter((part) => part !== "");
  }
  return claims;
}

/** Headers that the upstream gets instead of the client's; undefined where one could not be sent. */
export function claimHeaders(
  accepted: readonly Accepted[],
): readonly (readonly [string, string])[] | { readonly invalid: string } {
  const headers: [string, string][] = [];
  for (const { token, rule } of accepted) {
    if (rule.payloadHeader !== undefined) headers.push([rule.payloadHeader.toLowerCase(), token.payload]);
    for (const { header, claim } of rule.claimHeaders) {
      const value = claimHeader(token.claims, claim);
      if (value === undefined) continue;
      if (["\u0000", "\r", "\n"].some((character) => value.includes(character)))
        return { invalid: header.toLowerCase() };
      headers.push([header.toLowerCase(), value]);
    }
  }
  return headers;
}
