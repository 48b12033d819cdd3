import type { RequestAuthentication } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import type { JwtRule } from "../model.ts";

type Rule = NonNullable<NonNullable<RequestAuthentication["spec"]>["jwtRules"]>[number];

/** The keys of a rule that names a place to fetch them from: the set, or why there is none. */
export type KeysOf = (
  source: KeySource,
) =>
  | { readonly jwks: string; readonly problem?: string }
  | { readonly jwks?: undefined; readonly problem: string }
  | undefined;

/** Where the keys of a rule come from: an address, or the issuer's discovery document. */
export interface KeySource {
  readonly issuer: string;
  readonly uri: string | undefined;
  /** Milliseconds. */
  readonly timeout: number;
}

const defaultTimeout = 5000;

/** The place that a rule's keys are fetched from, undefined where they are inline. */
export function keySourceOf(rule: Rule): KeySource | undefined {
  if (rule.jwks !== undefined && rule.jwks !== "") return undefined;
  const seconds = /^(\d+(?:\.\d+)?)s$/.exec(rule.timeout ?? "")?.[1];
  return {
    issuer: rule.issuer ?? "",
    uri: rule.jwksUri || undefined,
    timeout: seconds === undefined ? defaultTimeout : Number(seconds) * 1000,
  };
}

/**
 * The token rules of all RequestAuthentications that select a workload, by issuer, as Istio names them.
 *
 * Where an issuer's keys cannot be had every token of it is refused: closed, never open.
 */
export function compileAuthentication(
  policies: readonly RequestAuthentication[],
  keysOf: KeysOf,
): { readonly jwt: JwtRule[]; readonly problems: Problem[] } {
  const problems: Problem[] = [];
  const rules = policies.flatMap((policy) =>
    rulesOf(policy, problems).map((rule, index) => {
      const problem = (field: string, message: string) =>
        problems.push({ resource: refOf(policy), field: `/spec/jwtRules/${index}/${field}`, message });
      return {
        issuer: rule.issuer ?? "",
        audiences: rule.audiences ?? [],
        jwks: keys(rule, keysOf, problem),
        fromHeaders: (rule.fromHeaders ?? []).map(({ name, prefix }) => ({ name, prefix: prefix ?? "" })),
        fromParams: rule.fromParams ?? [],
        fromCookies: rule.fromCookies ?? [],
        forward: rule.forwardOriginalToken ?? false,
        payloadHeader: rule.outputPayloadToHeader || undefined,
        claimHeaders: rule.outputClaimToHeaders ?? [],
        spaceDelimitedClaims: [...new Set(["scope", "permission", ...(rule.spaceDelimitedClaims ?? [])])],
      };
    }),
  );
  const sorted = rules.sort((a, b) => (a.issuer < b.issuer ? -1 : a.issuer > b.issuer ? 1 : 0));
  return { jwt: sorted.map((rule, index) => ({ ...rule, name: `origins-${index}` })), problems };
}

/** Its rules; one that is no object, which no schema lets through, verifies nothing. */
function rulesOf(policy: RequestAuthentication, problems: Problem[]): readonly Rule[] {
  const given: unknown = policy.spec?.jwtRules ?? [];
  const rules: readonly unknown[] = Array.isArray(given) ? given : [undefined];
  const readable = rules.filter((rule): rule is Rule => typeof rule === "object" && rule !== null);
  if (readable.length < rules.length)
    problems.push({
      resource: refOf(policy),
      field: "/spec/jwtRules",
      message: "must be a list of objects; the rest is left out",
    });
  return readable;
}

function keys(
  rule: Rule,
  keysOf: KeysOf,
  problem: (field: string, message: string) => void,
): string | undefined {
  const source = keySourceOf(rule);
  if (source === undefined)
    return readKeys(rule.jwks ?? "", (message) => problem("jwks", `${message}; ${refused(rule)}`));
  const fetched = keysOf(source) ?? { problem: "its keys were not fetched yet" };
  const what = fetched.jwks === undefined ? refused(rule) : "the keys that came last are used";
  if (fetched.problem !== undefined)
    problem(source.uri === undefined ? "issuer" : "jwksUri", `${fetched.problem}; ${what}`);
  return fetched.jwks;
}

function refused({ issuer }: Rule): string {
  return `tokens of \`${issuer ?? ""}\` are refused`;
}

/** The inline key set, undefined where there is none that can be read. */
function readKeys(text: string, problem: (message: string) => void): string | undefined {
  try {
    const set: unknown = JSON.parse(text);
    if (typeof set === "object" && set !== null && "keys" in set && Array.isArray(set.keys)) return text;
    problem("a key set is an object with the list `keys` (RFC 7517)");
  } catch {
    problem("this is not JSON");
  }
  return undefined;
}
