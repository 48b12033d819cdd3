import type { RuleSet, WorkloadPolicy } from "../model.ts";
import { type Test, test } from "./predicate.ts";
import type { PolicyRequest, Verdict } from "./request.ts";

/** Answers one request after the other for one workload. */
export type Evaluate = (request: PolicyRequest) => Verdict;

/**
 * Makes the evaluator of a workload's policies: AUDIT marks, DENY refuses, then ALLOW lets in.
 *
 * Without an ALLOW policy what is not denied is allowed; with one, what none of its rules matches is denied.
 * Token rules are not looked at: `authenticate` verifies tokens, and `request.claims` holds what it found.
 */
export function evaluator(policy: WorkloadPolicy): Evaluate {
  const audit = firstMatch(policy.audit);
  const deny = firstMatch(policy.deny);
  const allow = firstMatch(policy.allow);
  const dryDeny = firstMatch(policy.dryRun.deny);
  const dryAllow = firstMatch(policy.dryRun.allow);
  return (request) => {
    const noted = {
      audited: audit(request) !== null,
      dryRun: {
        allow: policy.dryRun.allow.present
          ? dryAllow(request) === null
            ? ("denied" as const)
            : ("allowed" as const)
          : undefined,
        deny: policy.dryRun.deny.present
          ? dryDeny(request) === null
            ? ("allowed" as const)
            : ("denied" as const)
          : undefined,
      },
    };
    const denied = deny(request);
    if (denied !== null) return { decision: "deny", matched: denied, ...noted };
    if (!policy.allow.present) return { decision: "allow", matched: audit(request), ...noted };
    const allowed = allow(request);
    return { decision: allowed === null ? "deny" : "allow", matched: allowed, ...noted };
  };
}

/** The id of the first rule that matches, null where none does. */
function firstMatch({ rules }: RuleSet): (request: PolicyRequest) => string | null {
  const tests = rules.map(({ id, source, operation }): { id: string; source: Test; operation: Test } => ({
    id,
    source: test(source),
    operation: test(operation),
  }));
  return (request) =>
    tests.find(({ source, operation }) => operation(request) && source(request))?.id ?? null;
}
