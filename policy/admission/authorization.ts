import type { AuthorizationPolicy } from "../../api/kinds.ts";
import type { Problem } from "../../api/resource.ts";
import { actionOf, isDryRun } from "../compile/compile.ts";
import { checkKey, isUnfitForCustom } from "./condition.ts";
import { Report } from "./report.ts";
import { checkTarget } from "./target.ts";
import {
  type CheckValue,
  checkAddress,
  checkMethod,
  checkNamespace,
  checkPath,
  checkPattern,
  checkPort,
  checkPrincipal,
  checkRequestPrincipal,
  checkServiceAccount,
} from "./values.ts";

type Rule = NonNullable<NonNullable<AuthorizationPolicy["spec"]>["rules"]>[number];

const source: Readonly<Record<string, CheckValue>> = {
  principals: checkPrincipal,
  requestPrincipals: checkRequestPrincipal,
  namespaces: checkNamespace,
  serviceAccounts: checkServiceAccount,
  trustDomains: checkPattern,
  ipBlocks: checkAddress,
  remoteIpBlocks: checkAddress,
};

const operation: Readonly<Record<string, CheckValue>> = {
  hosts: checkPattern,
  ports: checkPort,
  methods: checkMethod,
  paths: checkPath,
};

/** Of CUSTOM, which runs before tokens and without identities in Istio. */
const unfitForCustom = ["namespaces", "serviceAccounts", "principals", "requestPrincipals"];
const httpOnlyDeny =
  "configured AuthorizationPolicy will deny all traffic to TCP ports under its scope due to the use of only HTTP " +
  "attributes in a DENY rule; it is recommended to explicitly specify the port";

/**
 * Checks an AuthorizationPolicy beyond its schema: what Envoy or Istio would refuse or take for something else without a
 * word is an error, what matches nothing a warning.
 */
export function checkAuthorization(policy: AuthorizationPolicy): Problem[] {
  const report = new Report(policy);
  const spec = policy.spec ?? {};
  const action = actionOf(policy);
  const rules = spec.rules ?? [];
  checkTarget(spec, report);
  if (spec.provider && action !== "CUSTOM")
    report.error("/spec/provider", `must not be set with action \`${action}\``);
  if ((action === "DENY" || action === "CUSTOM") && rules.length === 0)
    report.error(
      "/spec/rules",
      `\`${action}\` without rules never matches: write \`[{}]\` for every request`,
    );
  if (action === "CUSTOM" && !spec.provider?.name)
    report.error("/spec/provider/name", "is required with `CUSTOM`");
  if (isDryRun(policy) && (action === "CUSTOM" || action === "AUDIT"))
    report.warning(
      "/metadata/annotations",
      `\`istio.io/dry-run\` makes a policy of \`${action}\` do nothing`,
    );
  for (const [index, rule] of rules.entries()) checkRule(rule, `/spec/rules/${index}`, action, report);
  return report.problems;
}

function checkRule(rule: Rule | null, pointer: string, action: string, report: Report): void {
  if (rule === null || typeof rule !== "object") {
    report.error(pointer, "must be an object");
    return;
  }
  const from = rule.from ?? [];
  const to = rule.to ?? [];
  for (const [index, each] of from.entries())
    checkFields(each?.source, `${pointer}/from/${index}/source`, source, report);
  for (const [index, each] of to.entries())
    checkFields(each?.operation, `${pointer}/to/${index}/operation`, operation, report);
  for (const [index, { source: fields }] of from.entries()) {
    const has = (name: string) => lengthOf(fields, name) + lengthOf(fields, negated(name)) > 0;
    if (has("serviceAccounts") && (has("namespaces") || has("principals")))
      report.error(
        `${pointer}/from/${index}/source/serviceAccounts`,
        "must not stand beside `namespaces` or `principals`",
      );
    if (action === "CUSTOM")
      for (const name of unfitForCustom.filter(has))
        report.error(`${pointer}/from/${index}/source/${name}`, "is not available to `CUSTOM` policies");
  }
  for (const [index, when] of (rule.when ?? []).entries())
    checkWhen(when, `${pointer}/when/${index}`, action, report);
  const tcpFrom = from.some(({ source: fields }) =>
    Object.keys(fields ?? {}).some((name) => !/requestPrincipals/i.test(name)),
  );
  const tcpTo = to.some((each) => each?.operation?.ports || each?.operation?.notPorts);
  if (action === "DENY" && ((from.length > 0 && to.length === 0 && !tcpFrom) || (to.length > 0 && !tcpTo)))
    report.warning(pointer, httpOnlyDeny);
}

function checkFields(
  fields: object | undefined,
  pointer: string,
  checks: Readonly<Record<string, CheckValue>>,
  report: Report,
): void {
  const names = Object.keys(checks).flatMap((name) => [name, negated(name)]);
  if (!names.some((name) => lengthOf(fields, name) > 0))
    report.error(pointer, "must have a field with a value");
  for (const [name, check] of Object.entries(checks))
    for (const each of [name, negated(name)])
      report.values(Reflect.get(fields ?? {}, each), `${pointer}/${each}`, check);
}

function checkWhen(
  when: { readonly key: string; readonly values?: readonly string[]; readonly notValues?: readonly string[] },
  pointer: string,
  action: string,
  report: Report,
): void {
  const check = when.key ? checkKey(when.key) : "is required";
  if (typeof check === "string") {
    report.error(`${pointer}/key`, check);
    return;
  }
  if (action === "CUSTOM" && isUnfitForCustom(when.key))
    report.error(`${pointer}/key`, `\`${when.key}\` is not available to \`CUSTOM\` policies`);
  if (lengthOf(when, "values") + lengthOf(when, "notValues") === 0)
    report.error(pointer, "needs `values` or `notValues`");
  report.values(when.values, `${pointer}/values`, check);
  report.values(when.notValues, `${pointer}/notValues`, check);
}

function negated(name: string): string {
  return `not${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}

function lengthOf(object: object | undefined, name: string): number {
  const value: unknown = Reflect.get(object ?? {}, name);
  return Array.isArray(value) ? value.length : 0;
}
