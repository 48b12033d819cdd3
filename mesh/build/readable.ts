import {
  createRegistry,
  type DescFile,
  fromBinary,
  fromJson,
  type JsonValue,
  toJson,
} from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { file_envoy_config_cluster_v3_cluster } from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import { file_envoy_config_endpoint_v3_endpoint } from "../../envoy/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import { file_envoy_config_listener_v3_listener } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";
import { file_envoy_config_rbac_v3_rbac } from "../../envoy/generated/envoy/config/rbac/v3/rbac_pb.js";
import { file_envoy_config_route_v3_route } from "../../envoy/generated/envoy/config/route/v3/route_pb.js";
import { file_envoy_config_trace_v3_opentelemetry } from "../../envoy/generated/envoy/config/trace/v3/opentelemetry_pb.js";
import { file_envoy_config_trace_v3_zipkin } from "../../envoy/generated/envoy/config/trace/v3/zipkin_pb.js";
import { file_envoy_extensions_access_loggers_file_v3_file } from "../../envoy/generated/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { file_envoy_extensions_access_loggers_filters_cel_v3_cel } from "../../envoy/generated/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js";
import { file_envoy_extensions_access_loggers_open_telemetry_v3_logs_service } from "../../envoy/generated/envoy/extensions/access_loggers/open_telemetry/v3/logs_service_pb.js";
import { file_envoy_extensions_access_loggers_stats_v3_stats } from "../../envoy/generated/envoy/extensions/access_loggers/stats/v3/stats_pb.js";
import { file_envoy_extensions_access_loggers_stream_v3_stream } from "../../envoy/generated/envoy/extensions/access_loggers/stream/v3/stream_pb.js";
import { file_envoy_extensions_clusters_composite_v3_cluster } from "../../envoy/generated/envoy/extensions/clusters/composite/v3/cluster_pb.js";
import { file_envoy_extensions_clusters_dynamic_forward_proxy_v3_cluster } from "../../envoy/generated/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js";
import { file_envoy_extensions_filters_http_cors_v3_cors } from "../../envoy/generated/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { file_envoy_extensions_filters_http_dynamic_forward_proxy_v3_dynamic_forward_proxy } from "../../envoy/generated/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.js";
import { file_envoy_extensions_filters_http_ext_authz_v3_ext_authz } from "../../envoy/generated/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { file_envoy_extensions_filters_http_fault_v3_fault } from "../../envoy/generated/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { file_envoy_extensions_filters_http_jwt_authn_v3_config } from "../../envoy/generated/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { file_envoy_extensions_filters_http_on_demand_v3_on_demand } from "../../envoy/generated/envoy/extensions/filters/http/on_demand/v3/on_demand_pb.js";
import { file_envoy_extensions_filters_http_rbac_v3_rbac } from "../../envoy/generated/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { file_envoy_extensions_filters_http_router_v3_router } from "../../envoy/generated/envoy/extensions/filters/http/router/v3/router_pb.js";
import { file_envoy_extensions_filters_http_set_filter_state_v3_set_filter_state } from "../../envoy/generated/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import { file_envoy_extensions_filters_listener_http_inspector_v3_http_inspector } from "../../envoy/generated/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js";
import { file_envoy_extensions_filters_listener_original_dst_v3_original_dst } from "../../envoy/generated/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js";
import { file_envoy_extensions_filters_listener_tls_inspector_v3_tls_inspector } from "../../envoy/generated/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { file_envoy_extensions_filters_network_ext_authz_v3_ext_authz } from "../../envoy/generated/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js";
import { file_envoy_extensions_filters_network_http_connection_manager_v3_http_connection_manager } from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { file_envoy_extensions_filters_network_rbac_v3_rbac } from "../../envoy/generated/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import { file_envoy_extensions_filters_network_set_filter_state_v3_set_filter_state } from "../../envoy/generated/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state_pb.js";
import { file_envoy_extensions_filters_network_tcp_proxy_v3_tcp_proxy } from "../../envoy/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { file_envoy_extensions_matching_actions_transform_stat_v3_transform_stat } from "../../envoy/generated/envoy/extensions/matching/actions/transform_stat/v3/transform_stat_pb.js";
import { file_envoy_extensions_matching_common_inputs_stats_v3_stats } from "../../envoy/generated/envoy/extensions/matching/common_inputs/stats/v3/stats_pb.js";
import { file_envoy_extensions_path_match_uri_template_v3_uri_template_match } from "../../envoy/generated/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js";
import { file_envoy_extensions_retry_host_previous_hosts_v3_previous_hosts } from "../../envoy/generated/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js";
import { file_envoy_extensions_retry_priority_previous_priorities_v3_previous_priorities_config } from "../../envoy/generated/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js";
import { file_envoy_extensions_transport_sockets_proxy_protocol_v3_upstream_proxy_protocol } from "../../envoy/generated/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { file_envoy_extensions_transport_sockets_raw_buffer_v3_raw_buffer } from "../../envoy/generated/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import { file_envoy_extensions_transport_sockets_tls_v3_secret } from "../../envoy/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { file_envoy_extensions_transport_sockets_tls_v3_tls } from "../../envoy/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { file_envoy_extensions_upstreams_http_v3_http_protocol_options } from "../../envoy/generated/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { file_envoy_service_runtime_v3_rtds } from "../../envoy/generated/envoy/service/runtime/v3/rtds_pb.js";
import type { Resource } from "./resource.ts";

/** Every message type that our resources are made of. */
const files: readonly DescFile[] = [
  file_envoy_extensions_access_loggers_file_v3_file,
  file_envoy_config_trace_v3_zipkin,
  file_envoy_config_trace_v3_opentelemetry,
  file_envoy_config_cluster_v3_cluster,
  file_envoy_config_endpoint_v3_endpoint,
  file_envoy_config_listener_v3_listener,
  file_envoy_config_rbac_v3_rbac,
  file_envoy_config_route_v3_route,
  file_envoy_extensions_access_loggers_filters_cel_v3_cel,
  file_envoy_extensions_access_loggers_open_telemetry_v3_logs_service,
  file_envoy_extensions_access_loggers_stats_v3_stats,
  file_envoy_extensions_access_loggers_stream_v3_stream,
  file_envoy_extensions_filters_http_ext_authz_v3_ext_authz,
  file_envoy_extensions_filters_network_ext_authz_v3_ext_authz,
  file_envoy_extensions_clusters_composite_v3_cluster,
  file_envoy_extensions_clusters_dynamic_forward_proxy_v3_cluster,
  file_envoy_extensions_filters_http_cors_v3_cors,
  file_envoy_extensions_filters_http_dynamic_forward_proxy_v3_dynamic_forward_proxy,
  file_envoy_extensions_filters_http_fault_v3_fault,
  file_envoy_extensions_filters_http_jwt_authn_v3_config,
  file_envoy_extensions_filters_http_on_demand_v3_on_demand,
  file_envoy_extensions_filters_http_rbac_v3_rbac,
  file_envoy_extensions_filters_http_router_v3_router,
  file_envoy_extensions_filters_http_set_filter_state_v3_set_filter_state,
  file_envoy_extensions_filters_listener_http_inspector_v3_http_inspector,
  file_envoy_extensions_filters_listener_original_dst_v3_original_dst,
  file_envoy_extensions_filters_listener_tls_inspector_v3_tls_inspector,
  file_envoy_extensions_filters_network_http_connection_manager_v3_http_connection_manager,
  file_envoy_extensions_filters_network_rbac_v3_rbac,
  file_envoy_extensions_filters_network_set_filter_state_v3_set_filter_state,
  file_envoy_extensions_filters_network_tcp_proxy_v3_tcp_proxy,
  file_envoy_extensions_matching_actions_transform_stat_v3_transform_stat,
  file_envoy_extensions_matching_common_inputs_stats_v3_stats,
  file_envoy_extensions_path_match_uri_template_v3_uri_template_match,
  file_envoy_extensions_retry_host_previous_hosts_v3_previous_hosts,
  file_envoy_extensions_retry_priority_previous_priorities_v3_previous_priorities_config,
  file_envoy_extensions_transport_sockets_proxy_protocol_v3_upstream_proxy_protocol,
  file_envoy_extensions_transport_sockets_raw_buffer_v3_raw_buffer,
  file_envoy_extensions_transport_sockets_tls_v3_secret,
  file_envoy_extensions_transport_sockets_tls_v3_tls,
  file_envoy_extensions_upstreams_http_v3_http_protocol_options,
  file_envoy_service_runtime_v3_rtds,
];

const registry = createRegistry(...files);

/** A resource as Envoy's own JSON, with `@type`: for people, and for files that Envoy loads. */
export function readableResource({ any }: Resource): JsonValue {
  return toJson(AnySchema, fromBinary(AnySchema, any), { registry });
}

/**
 * Envoy's own writing of a resource (its /config_dump: field names as in the .proto) as {@link readableResource} writes it,
 * so that the two can be compared.
 *
 * @throws Error where it has a type or a value that we do not know
 */
export function rewriteResource(resource: JsonValue): JsonValue {
  const any = fromJson(AnySchema, resource, { registry, ignoreUnknownFields: true });
  return toJson(AnySchema, any, { registry });
}
