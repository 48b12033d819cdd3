import { createRegistry, type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import { file_envoy_extensions_common_matching_v3_extension_matcher } from "../../envoy/generated/envoy/extensions/common/matching/v3/extension_matcher_pb.js";
import { file_envoy_extensions_filters_http_composite_v3_composite } from "../../envoy/generated/envoy/extensions/filters/http/composite/v3/composite_pb.js";
import { file_envoy_extensions_filters_http_ext_authz_v3_ext_authz } from "../../envoy/generated/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { file_envoy_extensions_filters_http_header_mutation_v3_header_mutation } from "../../envoy/generated/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js";
import { file_envoy_extensions_filters_http_jwt_authn_v3_config } from "../../envoy/generated/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { file_envoy_extensions_filters_http_rbac_v3_rbac } from "../../envoy/generated/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { file_envoy_extensions_filters_network_ext_authz_v3_ext_authz } from "../../envoy/generated/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js";
import { file_envoy_extensions_filters_network_rbac_v3_rbac } from "../../envoy/generated/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import { file_envoy_extensions_path_match_uri_template_v3_uri_template_match } from "../../envoy/generated/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js";
import { file_envoy_type_matcher_v3_http_inputs } from "../../envoy/generated/envoy/type/matcher/v3/http_inputs_pb.js";

const registry = createRegistry(
  file_envoy_extensions_common_matching_v3_extension_matcher,
  file_envoy_extensions_filters_http_composite_v3_composite,
  file_envoy_extensions_filters_http_ext_authz_v3_ext_authz,
  file_envoy_extensions_filters_http_jwt_authn_v3_config,
  file_envoy_extensions_filters_http_rbac_v3_rbac,
  file_envoy_extensions_filters_network_ext_authz_v3_ext_authz,
  file_envoy_extensions_filters_network_rbac_v3_rbac,
  file_envoy_extensions_filters_http_header_mutation_v3_header_mutation,
  file_envoy_extensions_path_match_uri_template_v3_uri_template_match,
  file_envoy_type_matcher_v3_http_inputs,
);

/** A filter as JSON, for a bootstrap file. */
export function readable<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): object {
  return toJson(schema, message, { registry }) as object;
}
