import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import {
  type Filter,
  FilterSchema,
} from "../../envoy/generated/envoy/config/listener/v3/listener_components_pb.js";
import { ExtAuthzSchema } from "../../envoy/generated/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { JwtAuthenticationSchema } from "../../envoy/generated/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { RBACSchema as HttpRbacSchema } from "../../envoy/generated/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { ExtAuthzSchema as NetworkExtAuthzSchema } from "../../envoy/generated/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js";
import type { HttpFilter } from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { RBACSchema as NetworkRbacSchema } from "../../envoy/generated/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import type { CustomStage, WorkloadPolicy } from "../model.ts";
import { customPrefix, httpExtAuthz, networkExtAuthz } from "./ext-authz.ts";
import { httpFilter } from "./http-filter.ts";
import { jwtAuthentication } from "./jwt-authn.ts";
import { rbac, rbacFields } from "./rbac.ts";
import { nothing, type Stage, stages } from "./stages.ts";
import { strictPaths } from "./strict.ts";
import { treeFilters } from "./tree/filter.ts";

/**
 * How rules are laid out for Envoy. `list`: Istio's shape, each rule is looked at. `tree`: Envoy finds the few that may
 * match by path or caller first, so the cost stays flat. Both decide and report alike.
 */
export type Form = "list" | "tree";

/** Below this a list is as quick as a tree, and smaller. */
const fewRules = 32;

/**
 * The HTTP filters that enforce a workload's policies, in their order: external authorizers, tokens, audit, DENY, ALLOW.
 *
 * For the inbound side, in front of the router. The tree form is a list where there are few rules; `tree` given with
 * `evenIfFew` is for tests.
 */
export function httpFilters(
  policy: WorkloadPolicy,
  options: { readonly form?: Form; readonly evenIfFew?: boolean; readonly strict?: boolean } = {},
): HttpFilter[] {
  const { form = "tree", evenIfFew = false, strict = false } = options;
  const jwt = jwtAuthentication(policy.jwt);
  const treeFrom = form === "list" ? Number.POSITIVE_INFINITY : evenIfFew ? 1 : fewRules;
  return [
    ...(strict ? [httpFilter("envoy.filters.http.rbac", HttpRbacSchema, { rules: strictPaths() })] : []),
    ...policy.custom.flatMap(customHttp),
    ...(jwt ? [httpFilter("envoy.filters.http.jwt_authn", JwtAuthenticationSchema, jwt)] : []),
    ...stages(policy).flatMap((stage) => stageFilters(stage, treeFrom, policy.trustDomains)),
  ];
}

function stageFilters(stage: Stage, treeFrom: number, trustDomains: readonly string[]): HttpFilter[] {
  const list = (rules: Stage) => httpFilter("envoy.filters.http.rbac", HttpRbacSchema, rbacFields(rules));
  const tree = stage.rules.rules.length >= treeFrom ? treeFilters(stage, trustDomains) : undefined;
  if (tree === undefined) return [list(stage)];
  return stage.shadow.present ? [list({ ...stage, rules: nothing }), ...tree] : tree;
}

/** The same for a port that carries no HTTP; `policy` compiled for TCP. Always a list. */
export function networkFilters(policy: WorkloadPolicy): Filter[] {
  return [
    ...policy.custom.flatMap(customNetwork),
    ...stages(policy).map((stage) => networkRbac(rbacFields(stage))),
  ];
}

/** CUSTOM: rules that only note which of them matched, then the authorizer, who is asked where one did. */
function customHttp({ authorizer, rules }: CustomStage): HttpFilter[] {
  if (authorizer === undefined)
    return [httpFilter("envoy.filters.http.rbac", HttpRbacSchema, rbacFields(denied(rules)))];
  return [
    httpFilter("envoy.filters.http.rbac", HttpRbacSchema, noting(rules)),
    httpFilter("envoy.filters.http.ext_authz", ExtAuthzSchema, httpExtAuthz(authorizer)),
  ];
}

function customNetwork({ authorizer, rules }: CustomStage): Filter[] {
  if (authorizer === undefined) return [networkRbac(rbacFields(denied(rules)))];
  return [
    networkRbac(noting(rules)),
    networkFilter("envoy.filters.network.ext_authz", NetworkExtAuthzSchema, networkExtAuthz(authorizer)),
  ];
}

function denied(rules: CustomStage["rules"]): Stage {
  return { action: "DENY", rules, shadow: nothing };
}

function noting(rules: CustomStage["rules"]): MessageInitShape<typeof HttpRbacSchema> {
  const shadowRules = rbac(rules, "DENY");
  return { ...(shadowRules && { shadowRules }), shadowRulesStatPrefix: customPrefix };
}

function networkRbac(fields: MessageInitShape<typeof HttpRbacSchema>): Filter {
  return networkFilter("envoy.filters.network.rbac", NetworkRbacSchema, {
    statPrefix: "tcp.",
    ...(fields.rules && { rules: fields.rules }),
    ...(fields.shadowRules && { shadowRules: fields.shadowRules }),
    shadowRulesStatPrefix: fields.shadowRulesStatPrefix ?? "",
  });
}

function networkFilter<Desc extends DescMessage>(
  name: string,
  schema: Desc,
  config: MessageInitShape<Desc>,
): Filter {
  return create(FilterSchema, {
    name,
    configType: { case: "typedConfig", value: anyPack(schema, create(schema, config)) },
  });
}
