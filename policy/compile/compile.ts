import type { AuthorizationPolicy, RequestAuthentication } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import { type Action, any, type Rule, type RuleSet, type WorkloadPolicy } from "../model.ts";
import { compileAuthentication, type KeysOf } from "./authentication.ts";
import { compileCustom } from "./custom.ts";
import type { MeshSettings } from "./mesh.ts";
import { byId } from "./order.ts";
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
 * What cannot be understood fails closed and is named in `problems`. A policy object that was compiled before, for
 * the same mesh settings, is not compiled again.
 *
 * @param keysOf the key sets that were fetched; without it only inline ones are known
 */
export function compilePolicies(
  policies: {
    readonly authorization: readonly AuthorizationPolicy[];
    readonly authentication: readonly RequestAuthentication[];
  },
  workload: Workload,
  mesh: MeshSettings,
  protocol: Protocol = "http",
  keysOf: KeysOf = () => undefined,
): Compiled {
  const problems: Problem[] = [];
  const selected = selectFor(policies.authorization, workload, mesh.rootNamespace);
  const rulesOf = (action: Action, dryRun: boolean): RuleSet => {
    const chosen = selected.filter((policy) => actionOf(policy) === action && isDryRun(policy) === dryRun);
    const rules = chosen.flatMap((policy) => {
      const compiled = compilePolicy(policy, mesh, protocol);
      problems.push(...compiled.problems);
      return compiled.rules;
    });
    return { present: chosen.length > 0, rules: rules.sort(byId) };
  };
  const { custom, problems: customProblems } = compileCustom(
    selected.filter((policy) => actionOf(policy) === "CUSTOM" && !isDryRun(policy)),
    mesh,
    protocol,
  );
  const { jwt, problems: jwtProblems } =
    protocol === "http"
      ? compileAuthentication(selectFor(policies.authentication, workload, mesh.rootNamespace), keysOf)
      : { jwt: [], problems: [] };
  return {
    policy: {
      trustDomains: [...new Set([mesh.trustDomain, ...mesh.trustDomainAliases])],
      custom,
      jwt,
      allow: rulesOf("ALLOW", false),
      deny: rulesOf("DENY", false),
      audit: rulesOf("AUDIT", false),
      dryRun: { allow: rulesOf("ALLOW", true), deny: rulesOf("DENY", true) },
    },
    problems: [...problems, ...customProblems, ...jwtProblems],
  };
}

interface CompiledRules {
  readonly rules: readonly Rule[];
  readonly problems: readonly Problem[];
}

/** What was compiled, by mesh settings and policy object: snapshots keep an object while it does not change. */
const compiledBefore = new WeakMap<
  MeshSettings,
  Record<Protocol, WeakMap<AuthorizationPolicy, CompiledRules>>
>();

/** The rules of one policy of any action but CUSTOM. One whose action is unknown denies all. */
export function compilePolicy(
  policy: AuthorizationPolicy,
  mesh: MeshSettings,
  protocol: Protocol,
): CompiledRules {
  let known = compiledBefore.get(mesh);
  if (known === undefined) {
    known = { http: new WeakMap(), tcp: new WeakMap() };
    compiledBefore.set(mesh, known);
  }
  let compiled = known[protocol].get(policy);
  if (compiled === undefined) {
    compiled = isKnownAction(policy)
      ? compileRules(policy, actionOf(policy) === "ALLOW" ? "drop" : "widen", mesh, protocol)
      : denyAll(policy);
    known[protocol].set(policy, compiled);
  }
  return compiled;
}

/** ALLOW where none is written; DENY where nobody can say what is meant, see {@link compilePolicy}. */
export function actionOf(policy: AuthorizationPolicy): Action | "CUSTOM" {
  return isKnownAction(policy) ? (policy.spec?.action ?? "ALLOW") : "DENY";
}

function isKnownAction({ spec }: AuthorizationPolicy): boolean {
  return ["ALLOW", "DENY", "AUDIT", "CUSTOM"].includes(spec?.action ?? "ALLOW");
}

/** A policy of an action that there is not, which no schema lets through: closed. */
function denyAll(policy: AuthorizationPolicy): CompiledRules {
  const { namespace = "default", name } = policy.metadata;
  return {
    rules: [{ id: `ns[${namespace}]-policy[${name}]-rule[0]`, source: any, operation: any }],
    problems: [
      {
        resource: refOf(policy),
        field: "/spec/action",
        message: `\`${String(policy.spec?.action)}\` is no action; every request is denied`,
      },
    ],
  };
}

/** Whether a policy is noted only. */
export function isDryRun({ metadata }: AuthorizationPolicy): boolean {
  return ["1", "t", "T", "true", "TRUE", "True"].includes(metadata.annotations?.[dryRunAnnotation] ?? "");
}
