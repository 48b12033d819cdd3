import type { AuthorizationPolicy, RequestAuthentication } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import { type Action, any, type Rule, type RuleSet, type WorkloadPolicy } from "../model.ts";
import { compileAuthentication } from "./authentication.ts";
import type { MeshSettings } from "./mesh.ts";
import { compileRules, type Protocol } from "./rule.ts";
import { selectFor, type Workload } from "./select.ts";

/** A policy with this annotation is noted, never enforced. */
const dryRunAnnotation = "istio.io/dry-run";

export interface Compiled {
  readonly policy: WorkloadPolicy;
  readonly problems: readonly Problem[];
}

/**
 * All policies that are in force at a workload, in the model.
 *
 * What cannot be understood fails closed and is named in `problems`. CUSTOM needs an external authorizer,
 * which is not served yet: such a policy denies what it selects.
 */
export function compilePolicies(
  policies: {
    readonly authorization: readonly AuthorizationPolicy[];
    readonly authentication: readonly RequestAuthentication[];
  },
  workload: Workload,
  mesh: MeshSettings,
  protocol: Protocol = "http",
): Compiled {
  const problems: Problem[] = [];
  const selected = selectFor(policies.authorization, workload, mesh.rootNamespace);
  const rulesOf = (action: Action, dryRun: boolean): RuleSet => {
    const chosen = selected.filter((policy) => actionOf(policy) === action && isDryRun(policy) === dryRun);
    const rules = chosen.flatMap((policy) => {
      const compiled = compileRules(policy, action, mesh, protocol);
      problems.push(...compiled.problems);
      return compiled.rules;
    });
    return { present: chosen.length > 0, rules: rules.sort(byId) };
  };
  const deny = rulesOf("DENY", false);
  const custom = selected.filter((policy) => policy.spec?.action === "CUSTOM" && !isDryRun(policy));
  for (const policy of custom) {
    problems.push({
      resource: refOf(policy),
      field: "/spec/action",
      message: "`CUSTOM` is not served yet: requests to what it selects are denied",
    });
  }
  const { jwt, problems: jwtProblems } =
    protocol === "http"
      ? compileAuthentication(selectFor(policies.authentication, workload, mesh.rootNamespace))
      : { jwt: [], problems: [] };
  return {
    policy: {
      jwt,
      allow: rulesOf("ALLOW", false),
      deny: {
        present: deny.present || custom.length > 0,
        rules: [...deny.rules, ...custom.map(closed)].sort(byId),
      },
      audit: rulesOf("AUDIT", false),
      dryRun: { allow: rulesOf("ALLOW", true), deny: rulesOf("DENY", true) },
    },
    problems: [...problems, ...jwtProblems],
  };
}

function actionOf(policy: AuthorizationPolicy): string {
  return policy.spec?.action ?? "ALLOW";
}

function isDryRun(policy: AuthorizationPolicy): boolean {
  return policy.metadata.annotations?.[dryRunAnnotation] === "true";
}

function closed(policy: AuthorizationPolicy): Rule {
  return {
    id: `ns[${policy.metadata.namespace}]-policy[${policy.metadata.name}]-deny-due-to-bad-CUSTOM-action`,
    source: any,
    operation: any,
  };
}

/** Envoy keeps rules in byte order of their names and reports the first that matches. */
function byId(a: Rule, b: Rule): number {
  return Buffer.compare(Buffer.from(a.id), Buffer.from(b.id));
}
