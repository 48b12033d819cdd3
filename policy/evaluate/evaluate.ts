import type { RuleSet, WorkloadPolicy } from "../model.ts";
import { Facts } from "./facts.ts";
import { RuleIndex } from "./index/rule-index.ts";
import type { DryRun, PolicyRequest, Verdict } from "./request.ts";

/** Answers one request after the other for one workload. */
export type Evaluate = (request: PolicyRequest) => Verdict;

/**
 * Makes the evaluator of a workload's policies: AUDIT marks, DENY refuses, then ALLOW lets in.
 *
 * Without an ALLOW policy what is not denied is allowed; with one, what none of its rules matches is denied. External
 * authorizers are not asked (`asked`), nor are tokens verified: `request.claims` holds what `authenticate` found.
 */
export function evaluator(policy: WorkloadPolicy): Evaluate {
  return evaluateBy({
    audit: new RuleIndex(policy.audit.rules),
    deny: new RuleIndex(policy.deny.rules),
    allow: new RuleIndex(policy.allow.rules),
    allowPresent: () => policy.allow.present,
    dryDeny: new RuleIndex(policy.dryRun.deny.rules),
    dryDenyPresent: () => policy.dryRun.deny.present,
    dryAllow: new RuleIndex(policy.dryRun.allow.rules),
    dryAllowPresent: () => policy.dryRun.allow.present,
  });
}

/** The rules of each action, indexed; they may change between two requests. */
export interface Indexes {
  readonly audit: RuleIndex;
  readonly deny: RuleIndex;
  readonly allow: RuleIndex;
  readonly allowPresent: () => boolean;
  readonly dryDeny: RuleIndex;
  readonly dryDenyPresent: () => boolean;
  readonly dryAllow: RuleIndex;
  readonly dryAllowPresent: () => boolean;
}

const noDryRun: Verdict["dryRun"] = { allow: undefined, deny: undefined };

export function evaluateBy(indexes: Indexes): Evaluate {
  const facts = new Facts();
  const dryRunOf = (present: boolean, index: RuleIndex, onMatch: DryRun["result"]): DryRun | undefined => {
    if (!present) return undefined;
    const matched = index.first(facts);
    const otherwise = onMatch === "allowed" ? "denied" : "allowed";
    return { result: matched === null ? otherwise : onMatch, matched };
  };
  const noteDryRuns = (): Verdict["dryRun"] => {
    const deny = dryRunOf(indexes.dryDenyPresent(), indexes.dryDeny, "denied");
    const allow = dryRunOf(indexes.dryAllowPresent(), indexes.dryAllow, "allowed");
    return deny || allow ? { allow, deny } : noDryRun;
  };
  return (request) => {
    facts.read(request);
    const auditedBy = indexes.audit.first(facts);
    const audited = auditedBy !== null;
    const denied = indexes.deny.first(facts);
    const dryRun = noteDryRuns();
    if (denied !== null) return { decision: "deny", matched: denied, refusedBy: "deny", audited, dryRun };
    if (!indexes.allowPresent())
      return { decision: "allow", matched: auditedBy, refusedBy: null, audited, dryRun };
    const matched = indexes.allow.first(facts);
    if (matched === null) return { decision: "deny", matched, refusedBy: "allow", audited, dryRun };
    return { decision: "allow", matched, refusedBy: null, audited, dryRun };
  };
}

/** A stage of CUSTOM policies that a request falls under. */
export interface Asked {
  /** Id of the rule that matched. */
  readonly rule: string;
  /** Position among the workload's stages. */
  readonly stage: number;
}

/** Makes the function that says which external authorizers a request needs, in their order. */
export function customStages({ custom }: WorkloadPolicy): (request: PolicyRequest) => readonly Asked[] {
  const facts = new Facts();
  const indexes = custom.map(({ rules }: { readonly rules: RuleSet }) => new RuleIndex(rules.rules));
  return (request) => {
    facts.read(request);
    return indexes.flatMap((index, stage) => {
      const rule = index.first(facts);
      return rule === null ? [] : [{ rule, stage }];
    });
  };
}
