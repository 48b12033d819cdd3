import type { Decision } from "../edge/decide.ts";
import { strictRule } from "../edge/receive.ts";
import type { PolicyRequest } from "../evaluate/request.ts";
import type { Rule, WorkloadPolicy } from "../model.ts";
import { type Miss, missesOf } from "./misses.ts";

/** Why a request is let in or not. */
export interface Explanation {
  /** One sentence, the rule that decided in backticks. */
  readonly because: string;
  /** Where no ALLOW rule matched: the rule that lacked least, and what it lacked. */
  readonly nearest: NearMiss | undefined;
}

/** A rule that nearly matched. */
export interface NearMiss {
  readonly rule: string;
  readonly misses: readonly Miss[];
}

/** Explains a decision of the workload's policies: who decided, by which rule, or which rule came nearest to letting it in. */
export function explainDecision(policy: WorkloadPolicy, decision: Decision): Explanation {
  const { matched, reason, refusedBy, seen } = decision;
  const without = (because: string): Explanation => ({ because, nearest: undefined });
  switch (refusedBy) {
    case "edge":
      return without(
        matched === strictRule
          ? "path normalization STRICT refuses its path or host, before any policy"
          : `the proxy refuses it before any policy: ${reason}`,
      );
    case "authorizer":
      return without(explainAuthorizer(policy, decision));
    case "token":
      return without(`its token is refused: ${reason}`);
    case "deny":
      return without(`DENY rule \`${matched}\` matches`);
    case "allow":
      return {
        because: whyNobody(policy.allow.rules.length),
        nearest: seen && nearestOf(policy.allow.rules, seen),
      };
    case null:
      break;
  }
  if (decision.decision === "deny")
    return without("policies let it in, but a claim that goes into a header holds a line break");
  return without(
    policy.allow.present
      ? `ALLOW rule \`${matched}\` matches, and no DENY rule does`
      : "no DENY rule matches, and there is no ALLOW policy",
  );
}

function explainAuthorizer({ custom }: WorkloadPolicy, { asked, status }: Decision): string {
  const last = asked.at(-1);
  const stage = last && custom[last.stage];
  if (!last || !stage) return "an external authorizer refuses it";
  return stage.authorizer
    ? `CUSTOM rule \`${last.rule}\` matches, and external authorizer \`${stage.provider}\` answered ${status}`
    : `CUSTOM rule \`${last.rule}\` matches, and its external authorizer \`${stage.provider}\` cannot be asked`;
}

/** Why none of so many ALLOW rules lets anybody in. */
export function whyNobody(count: number): string {
  if (count === 0) return "ALLOW policies are in force and have no rule, so nobody is let in";
  return count === 1 ? "the one ALLOW rule does not match" : `none of the ${count} ALLOW rules matches`;
}

/** The rule that the fewest parts keep from matching; of equals the first. Undefined where there is no rule. */
export function nearestOf(rules: readonly Rule[], request: PolicyRequest): NearMiss | undefined {
  let best: NearMiss | undefined;
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
