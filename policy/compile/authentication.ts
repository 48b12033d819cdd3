import type { RequestAuthentication } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import type { JwtRule } from "../model.ts";

/**
 * The token rules of all RequestAuthentications that select a workload, by issuer, as Istio names them.
 *
 * Where an issuer's keys cannot be had every token of it is refused: closed, never open.
 */
export function compileAuthentication(policies: readonly RequestAuthentication[]): {
  readonly jwt: JwtRule[];
  readonly problems: Problem[];
} {
  const problems: Problem[] = [];
  const rules = policies.flatMap((policy) =>
    (policy.spec?.jwtRules ?? []).map((rule, index) => {
      const pointer = `/spec/jwtRules/${index}`;
      const jwks = readKeys(rule.jwks, (message) =>
        problems.push({ resource: refOf(policy), field: `${pointer}/jwks`, message }),
      );
      if (rule.jwks === undefined) {
        problems.push({
          resource: refOf(policy),
          field: `${pointer}/jwksUri`,
          message: `keys of \`${rule.issuer}\` are not fetched yet: give them inline as \`jwks\`; until then its tokens are refused`,
        });
      }
      return {
        issuer: rule.issuer,
        audiences: rule.audiences ?? [],
        jwks,
        fromHeaders: (rule.fromHeaders ?? []).map(({ name, prefix }) => ({ name, prefix: prefix ?? "" })),
        fromParams: rule.fromParams ?? [],
        fromCookies: rule.fromCookies ?? [],
        forward: rule.forwardOriginalToken ?? false,
        payloadHeader: rule.outputPayloadToHeader,
        claimHeaders: rule.outputClaimToHeaders ?? [],
        spaceDelimitedClaims: rule.spaceDelimitedClaims ?? ["scope", "permission"],
      };
    }),
  );
  const sorted = rules.sort((a, b) => (a.issuer < b.issuer ? -1 : a.issuer > b.issuer ? 1 : 0));
  return { jwt: sorted.map((rule, index) => ({ ...rule, name: `origins-${index}` })), problems };
}

/** The inline key set, undefined where there is none that can be read. */
function readKeys(text: string | undefined, problem: (message: string) => void): string | undefined {
  if (text === undefined) return undefined;
  try {
    const set: unknown = JSON.parse(text);
    if (typeof set === "object" && set !== null && "keys" in set && Array.isArray(set.keys)) return text;
    problem("a key set is an object with the list `keys` (RFC 7517)");
  } catch {
    problem("this is not JSON");
  }
  return undefined;
}
