/** What must hold of any policies and any request, whatever Envoy says. */
import type { AuthorizationPolicy } from "../../../api/kinds.ts";
import { meshOf, workloadOf } from "../../../policy/cases/compile.ts";
import type { Case } from "../../../policy/cases/read.ts";
import { actionOf, compilePolicies } from "../../../policy/compile/compile.ts";
import type { MeshSettings } from "../../../policy/compile/mesh.ts";
import { type Evaluate, evaluator } from "../../../policy/evaluate/evaluate.ts";
import { Facts } from "../../../policy/evaluate/facts.ts";
import { type Test, test } from "../../../policy/evaluate/predicate.ts";
import type { PolicyRequest, Verdict } from "../../../policy/evaluate/request.ts";
import { PolicyEngine } from "../../../policy/live/engine.ts";
import type { Rule } from "../../../policy/model.ts";
import { normalizePath, type PathNormalization } from "../../../policy/path/normalize.ts";

/** A property that was looked at, and whether it held. */
export interface Checked {
  readonly property: string;
  readonly held: boolean;
}

/** Looks at one request under a set of policies, made ready once. */
export type Check = (request: PolicyRequest) => readonly Checked[];

const dryRun = { "istio.io/dry-run": "true" };

/** Makes the checks of a set. `other` is a policy that is added to it as DENY, as ALLOW and as a dry run. */
export function propertiesOf(base: Case, other: AuthorizationPolicy): Check {
  const mesh = meshOf(base);
  const policies = (base.policies ?? []).filter((policy) => actionOf(policy) !== "CUSTOM");
  const decide = evaluateBy(base, mesh, policies);
  const withDeny = evaluateBy(base, mesh, [...policies, as(other, "DENY")]);
  const withAllow = evaluateBy(base, mesh, [...policies, as(other, "ALLOW")]);
  const withDryRuns = evaluateBy(base, mesh, [
    as(other, "DENY", dryRun),
    ...policies,
    as({ ...other, metadata: { ...other.metadata, name: "other-dry" } }, "ALLOW", dryRun),
  ]);
  const reversed = evaluateBy(base, mesh, policies.toReversed());
  const doubled = evaluateBy(base, mesh, [...policies, ...policies.map(copy)]);
  const changed = engineAfterChanges(base, mesh, policies, as(other, "DENY"));
  const scanned = scan(base, mesh, policies);
  const hasAllow = policies.some((policy) => actionOf(policy) === "ALLOW" && !policy.metadata.annotations);
  return (request) => {
    // An evaluator answers one request at a time, so its verdict is kept before another is asked.
    const verdict = decide(request);
    const denied = verdict.decision === "deny";
    return [
      { property: "a DENY more never allows more", held: !denied || withDeny(request).decision === "deny" },
      ...(hasAllow
        ? [
            {
              property: "an ALLOW more never denies more",
              held: denied || withAllow(request).decision === "allow",
            },
          ]
        : []),
      { property: "a dry run changes nothing", held: sameEnforced(verdict, withDryRuns(request)) },
      { property: "the order of policies changes nothing", held: same(verdict, reversed(request)) },
      { property: "a second copy changes no verdict", held: verdict.decision === doubled(request).decision },
      { property: "changed one at a time, the same in the end", held: same(verdict, changed(request)) },
      { property: "the index finds what a scan finds", held: verdict.matched === scanned(request).matched },
    ];
  };
}

/** Whether a path that was normalised stays as it is; undefined where Envoy's own normalising does not settle. */
export function isSettled(path: string, mode: PathNormalization): boolean | undefined {
  const once = normalizePath(path, mode);
  if ("status" in once || /%2e|%5c|\\|;/i.test(path)) return undefined;
  const twice = normalizePath(once.path, mode);
  return "path" in twice && twice.path === once.path;
}

function evaluateBy(base: Case, mesh: MeshSettings, authorization: readonly AuthorizationPolicy[]): Evaluate {
  return evaluator(compile(base, mesh, authorization));
}

function compile(base: Case, mesh: MeshSettings, authorization: readonly AuthorizationPolicy[]) {
  const protocol = base.request?.protocol ?? "http";
  return compilePolicies({ authorization, authentication: [] }, workloadOf(base), mesh, protocol).policy;
}

/** Put in from the last to the first, one taken out and put in again, another one in and out. */
function engineAfterChanges(
  base: Case,
  mesh: MeshSettings,
  policies: readonly AuthorizationPolicy[],
  other: AuthorizationPolicy,
): Evaluate {
  const engine = new PolicyEngine(workloadOf(base), mesh, base.request?.protocol ?? "http");
  const put = (policy: AuthorizationPolicy) => engine.put(policy);
  put(other);
  policies.toReversed().forEach(put);
  const [first] = policies;
  if (first) {
    engine.remove(first.metadata.namespace ?? "", first.metadata.name);
    put(first);
  }
  engine.remove(other.metadata.namespace ?? "", other.metadata.name);
  return engine.evaluate;
}

/** The rule that decides, found by looking at all. */
function scan(
  base: Case,
  mesh: MeshSettings,
  authorization: readonly AuthorizationPolicy[],
): (request: PolicyRequest) => { readonly matched: string | null } {
  const { deny, allow, audit } = compile(base, mesh, authorization);
  const facts = new Facts();
  const ready = (rules: readonly Rule[]) =>
    rules.map(({ id, source, operation }) => ({ id, source: test(source), operation: test(operation) }));
  const [denies, allows, audits] = [ready(deny.rules), ready(allow.rules), ready(audit.rules)];
  const first = (
    rules: readonly { readonly id: string; readonly source: Test; readonly operation: Test }[],
  ) => rules.find(({ source, operation }) => source(facts) && operation(facts))?.id ?? null;
  return (request) => {
    facts.read(request);
    return { matched: first(denies) ?? first(allow.present ? allows : audits) };
  };
}

function same(a: Verdict, b: Verdict): boolean {
  return sameEnforced(a, b) && JSON.stringify(a.dryRun) === JSON.stringify(b.dryRun);
}

function sameEnforced(a: Verdict, b: Verdict): boolean {
  return (
    a.decision === b.decision &&
    a.matched === b.matched &&
    a.refusedBy === b.refusedBy &&
    a.audited === b.audited
  );
}

function as(
  { metadata, spec, ...rest }: AuthorizationPolicy,
  action: "ALLOW" | "DENY",
  annotations?: Readonly<Record<string, string>>,
): AuthorizationPolicy {
  const { name, namespace } = metadata;
  return {
    ...rest,
    metadata: { name: `other-${name}`, ...(namespace && { namespace }), ...(annotations && { annotations }) },
    spec: { ...(spec?.rules && { rules: spec.rules }), action },
  };
}

function copy(policy: AuthorizationPolicy): AuthorizationPolicy {
  return { ...policy, metadata: { ...policy.metadata, name: `${policy.metadata.name}-copy` } };
}
