import { evaluator } from "../evaluate/evaluate.ts";
import type { PolicyRequest, Verdict } from "../evaluate/request.ts";
import type { Rule, WorkloadPolicy } from "../model.ts";
import { type Miss, missesOf } from "./misses.ts";

/** Why a request is let in or not. */
export interface Explanation {
  readonly verdict: Verdict;
  /** One sentence. */
  readonly because: string;
  /** Where no ALLOW rule matched: the rule that lacked least, and what it lacked. */
  readonly nearest: { readonly rule: string; readonly misses: readonly Miss[] } | undefined;
}

/** Explains what the policies say of a request: the rule that decided, or the one that came nearest to letting it in. */
export function explainVerdict(policy: WorkloadPolicy, request: PolicyRequest): Explanation {
  const verdict = evaluator(policy)(request);
  const { matched, refusedBy } = verdict;
  if (refusedBy === "deny")
    return { verdict, because: `DENY rule \`${matched}\` matches`, nearest: undefined };
  if (refusedBy === "allow") {
    const nearest = nearestOf(policy.allow.rules, request);
    const count = policy.allow.rules.length;
    const because =
      count === 0
        ? "ALLOW policies are in force and have no rule, so nobody is let in"
        : `none of the ${count} ALLOW ${count === 1 ? "rule matches" : "rules match"}`;
    return { verdict, because, nearest };
  }
  const because = policy.allow.present
    ? `ALLOW rule \`${matched}\` matches, and no DENY rule does`
    : "no DENY rule matches, and there is no ALLOW policy";
  return { verdict, because, nearest: undefined };
}

/** The rule that the fewest parts keep from matching; of equals the first. */
export function nearestOf(rules: readonly Rule[], request: PolicyRequest): Explanation["nearest"] {
  let best: Explanation["nearest"];
  for (const { id, source, operation } of rules) {
    const misses = [...missesOf(operation, request), ...missesOf(source, request)];
    if (best === undefined || misses.length < best.misses.length) best = { rule: id, misses };
  }
  return best;
}

/** A miss in one line: `methods: wants GET or HEAD, got POST`. */
export function wordMiss({ field, wanted, negated, got }: Miss): string {
  const values = wanted.length > 6 ? [...wanted.slice(0, 6), `${wanted.length - 6} more`] : wanted;
  return `${field}: ${negated ? "must not be" : "wants"} ${values.join(" or ")}, got ${got}`;
}
