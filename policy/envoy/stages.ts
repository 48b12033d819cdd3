import type { Action, RuleSet, WorkloadPolicy } from "../model.ts";

/** One RBAC filter: the rules it enforces and those it only notes. */
export interface Stage {
  readonly action: Action;
  readonly rules: RuleSet;
  readonly shadow: RuleSet;
}

export const nothing: RuleSet = { present: false, rules: [] };

/**
 * The RBAC filters of a workload in their order. DENY and AUDIT policies without a rule never match, so they need no
 * filter; an ALLOW without one denies all.
 */
export function stages({ allow, deny, audit, dryRun }: WorkloadPolicy): Stage[] {
  const used = ({ rules }: RuleSet): boolean => rules.length > 0;
  return [
    ...(used(audit) ? [{ action: "AUDIT" as const, rules: audit, shadow: nothing }] : []),
    ...(used(deny) || dryRun.deny.present
      ? [{ action: "DENY" as const, rules: used(deny) ? deny : nothing, shadow: dryRun.deny }]
      : []),
    ...(allow.present || dryRun.allow.present
      ? [{ action: "ALLOW" as const, rules: allow, shadow: dryRun.allow }]
      : []),
  ];
}
