import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Policy,
  PolicySchema,
  type RBAC,
  RBAC_Action,
  RBACSchema,
} from "../../envoy/generated/envoy/config/rbac/v3/rbac_pb.js";
import type { RBACSchema as HttpRbacSchema } from "../../envoy/generated/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import type { Action, Rule, RuleSet } from "../model.ts";
import { permission } from "./permission.ts";
import { principal } from "./principal.ts";
import type { Stage } from "./stages.ts";

const actions: Readonly<Record<Action, RBAC_Action>> = {
  ALLOW: RBAC_Action.ALLOW,
  DENY: RBAC_Action.DENY,
  AUDIT: RBAC_Action.LOG,
};

/**
 * The rules of one action, undefined where no policy of it selects the workload.
 *
 * ALLOW policies without a rule are kept: they let nobody in.
 *
 * @see envoy.config.rbac.v3.RBAC
 */
export function rbac({ present, rules }: RuleSet, action: Action): RBAC | undefined {
  if (!present) return undefined;
  const policies: Record<string, Policy> = Object.fromEntries(rules.map((rule) => [rule.id, policy(rule)]));
  return create(RBACSchema, { action: actions[action], policies });
}

/** Rules that were printed before: the leaves of a tree share them, and most rules stay when one changes. */
const printed = new WeakMap<Rule, Policy>();

function policy(rule: Rule): Policy {
  let known = printed.get(rule);
  if (known === undefined) {
    known = create(PolicySchema, {
      permissions: [permission(rule.operation)],
      principals: [principal(rule.source)],
    });
    printed.set(rule, known);
  }
  return known;
}

/** The enforced and the noted rules of a filter; the network filter has the same fields. */
export function rbacFields({ action, rules, shadow }: Stage): MessageInitShape<typeof HttpRbacSchema> {
  const enforced = rbac(rules, action);
  const noted = rbac(shadow, action);
  return {
    ...(enforced && { rules: enforced }),
    ...(noted && {
      shadowRules: noted,
      shadowRulesStatPrefix: `istio_dry_run_${action.toLowerCase()}_`,
    }),
  };
}
