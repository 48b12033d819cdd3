import type { RequestAuthentication } from "../../api/kinds.ts";
import type { Problem } from "../../api/resource.ts";
import { readKeySet } from "../jwt/key-set.ts";
import { Report } from "./report.ts";
import { checkTarget } from "./target.ts";

type JwtRule = NonNullable<NonNullable<RequestAuthentication["spec"]>["jwtRules"]>[number];

const headerName = /^[A-Za-z0-9_-]+$/;

/** Checks a RequestAuthentication beyond its schema: sources of keys, places of tokens, headers that claims go to. */
export function checkAuthentication(policy: RequestAuthentication): Problem[] {
  const report = new Report(policy);
  const spec = policy.spec ?? {};
  checkTarget(spec, report);
  for (const [index, rule] of (spec.jwtRules ?? []).entries())
    checkRule(rule, `/spec/jwtRules/${index}`, report);
  return report.problems;
}

function checkRule(rule: JwtRule, pointer: string, report: Report): void {
  if (!rule.issuer && !rule.jwksUri)
    report.error(`${pointer}/issuer`, "is required where there is no `jwksUri`");
  if (rule.jwks && rule.jwksUri) report.error(`${pointer}/jwks`, "must not stand beside `jwksUri`");
  if (rule.jwksUri && !isHttp(rule.jwksUri))
    report.error(`${pointer}/jwksUri`, `\`${rule.jwksUri}\` is no http or https address`);
  if (rule.jwks && readKeySet(rule.jwks) === undefined)
    report.error(`${pointer}/jwks`, 'holds no key that can be used (RFC 7517: `{"keys": [...]}`)');
  if (rule.timeout !== undefined && !/^\d+(\.\d+)?s$/.test(rule.timeout))
    report.error(`${pointer}/timeout`, `\`${rule.timeout}\` is no duration such as \`5s\``);
  const empty = (value: string) => (value === "" ? { message: "is empty" } : undefined);
  report.values(rule.audiences, `${pointer}/audiences`, empty);
  report.values(rule.fromParams, `${pointer}/fromParams`, empty);
  report.values(rule.fromCookies, `${pointer}/fromCookies`, empty);
  for (const [index, { name }] of (rule.fromHeaders ?? []).entries())
    if (!name) report.error(`${pointer}/fromHeaders/${index}/name`, "is required");
  for (const [index, { header, claim }] of (rule.outputClaimToHeaders ?? []).entries()) {
    if (!claim) report.error(`${pointer}/outputClaimToHeaders/${index}/claim`, "is required");
    if (!headerName.test(header ?? ""))
      report.error(
        `${pointer}/outputClaimToHeaders/${index}/header`,
        `\`${header ?? ""}\` is no header name`,
      );
  }
}

function isHttp(uri: string): boolean {
  return URL.canParse(uri) && ["http:", "https:"].includes(new URL(uri).protocol);
}
