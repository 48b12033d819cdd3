import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import {
  type Filter,
  FilterSchema,
} from "../../envoy/generated/envoy/config/listener/v3/listener_components_pb.js";
import { JwtAuthenticationSchema } from "../../envoy/generated/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { RBACSchema as HttpRbacSchema } from "../../envoy/generated/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import {
  type HttpFilter,
  HttpFilterSchema,
} from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { RBACSchema as NetworkRbacSchema } from "../../envoy/generated/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import type { Action, RuleSet, WorkloadPolicy } from "../model.ts";
import { jwtAuthentication } from "./jwt-authn.ts";
import { rbac } from "./rbac.ts";

/**
 * The HTTP filters that enforce a workload's policies, in their order: tokens, audit, DENY, ALLOW.
 *
 * For the inbound side, in front of the router.
 */
export function httpFilters(policy: WorkloadPolicy): HttpFilter[] {
  const jwt = jwtAuthentication(policy.jwt);
  return [
    ...(jwt ? [httpFilter("envoy.filters.http.jwt_authn", JwtAuthenticationSchema, jwt)] : []),
    ...stages(policy).map(({ action, rules, shadow }) =>
      httpFilter("envoy.filters.http.rbac", HttpRbacSchema, {
        ...enforced(rules, action),
        ...shadowed(shadow, action),
      }),
    ),
  ];
}

/** The same for a port that carries no HTTP; `policy` compiled for TCP. */
export function networkFilters(policy: WorkloadPolicy): Filter[] {
  return stages(policy).map(({ action, rules, shadow }) =>
    create(FilterSchema, {
      name: "envoy.filters.network.rbac",
      configType: {
        case: "typedConfig",
        value: anyPack(
          NetworkRbacSchema,
          create(NetworkRbacSchema, {
            statPrefix: "tcp.",
            ...enforced(rules, action),
            ...shadowed(shadow, action),
          }),
        ),
      },
    }),
  );
}

interface Stage {
  readonly action: Action;
  readonly rules: RuleSet;
  readonly shadow: RuleSet;
}

const nothing: RuleSet = { present: false, rules: [] };

/** DENY and AUDIT policies without a rule never match, so they need no filter; an ALLOW without one denies all. */
function stages({ allow, deny, audit, dryRun }: WorkloadPolicy): Stage[] {
  const used = ({ rules }: RuleSet): boolean => rules.length > 0;
  return [
    ...(used(audit) ? [{ action: "AUDIT" as const, rules: audit, shadow: nothing }] : []),
    ...(used(deny) || used(dryRun.deny)
      ? [{ action: "DENY" as const, rules: deny, shadow: dryRun.deny }]
      : []),
    ...(allow.present || dryRun.allow.present
      ? [{ action: "ALLOW" as const, rules: allow, shadow: dryRun.allow }]
      : []),
  ];
}

function enforced(rules: RuleSet, action: Action) {
  const printed = rbac(action === "ALLOW" || rules.rules.length > 0 ? rules : nothing, action);
  return printed ? { rules: printed } : {};
}

function shadowed(rules: RuleSet, action: Action) {
  const printed = rbac(rules, action);
  return printed
    ? { shadowRules: printed, shadowRulesStatPrefix: `istio_dry_run_${action.toLowerCase()}_` }
    : {};
}

function httpFilter<Desc extends DescMessage>(
  name: string,
  schema: Desc,
  config: MessageInitShape<Desc>,
): HttpFilter {
  return create(HttpFilterSchema, {
    name,
    configType: { case: "typedConfig", value: anyPack(schema, create(schema, config)) },
  });
}
