import { create } from "@bufbuild/protobuf";
import { type RBAC, RBAC_Action, RBACSchema } from "../../envoy/generated/envoy/config/rbac/v3/rbac_pb.js";
import type { Action, RuleSet } from "../model.ts";
import { permission } from "./permission.ts";
import { principal } from "./principal.ts";

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
  return create(RBACSchema, {
    action: actions[action],
    policies: Object.fromEntries(
      rules.map(({ id, source, operation }) => [
        id,
        { permissions: [permission(operation)], principals: [principal(source)] },
      ]),
    ),
  });
}
