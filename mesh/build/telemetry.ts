/**
 * What every sidecar's proxy records of its requests: Istio's metrics on stock Envoy, and the attempts of
 * live canaries for the trip wire.
 *
 * Istio's own filters are not in stock Envoy. The stats access logger yields the same series; a peer's
 * workload is read from its certificate's subject, which the CA alone writes, or from endpoint metadata.
 */
import { create, type JsonObject } from "@bufbuild/protobuf";
import { type Any, DurationSchema } from "@bufbuild/protobuf/wkt";
import { primarySample } from "../../api/signals.ts";
import {
  type AccessLog,
  type AccessLogFilter,
  AccessLogFilterSchema,
  AccessLogSchema,
  AndFilterSchema,
  ComparisonFilter_Op,
  ComparisonFilterSchema,
  ExtensionFilterSchema,
  type GrpcStatusFilter_Status,
  GrpcStatusFilterSchema,
  HeaderFilterSchema,
  OrFilterSchema,
  ResponseFlagFilterSchema,
  RuntimeFilterSchema,
  StatusCodeFilterSchema,
} from "../../envoy/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import { RuntimeUInt32Schema } from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import { ApiVersion } from "../../envoy/generated/envoy/config/core/v3/config_source_pb.js";
import { HeaderMatcherSchema } from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import { ExpressionFilterSchema } from "../../envoy/generated/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js";
import { HttpGrpcAccessLogConfigSchema } from "../../envoy/generated/envoy/extensions/access_loggers/grpc/v3/als_pb.js";
import {
  ConfigSchema,
  Config_Histogram_Unit as Unit,
} from "../../envoy/generated/envoy/extensions/access_loggers/stats/v3/stats_pb.js";
import { TransformStatSchema } from "../../envoy/generated/envoy/extensions/matching/actions/transform_stat/v3/transform_stat_pb.js";
import { StatTagValueInputSchema } from "../../envoy/generated/envoy/extensions/matching/common_inputs/stats/v3/stats_pb.js";
import { StringMatcherSchema } from "../../envoy/generated/envoy/type/matcher/v3/string_pb.js";
import { FractionalPercent_DenominatorType as Denominator } from "../../envoy/generated/envoy/type/v3/percent_pb.js";
import { type Matcher, MatcherSchema } from "../../envoy/generated/xds/type/matcher/v3/matcher_pb.js";
import { typed } from "./any.ts";
import { denialLog } from "./denial-log.ts";
import { peerFact } from "./peer-facts.ts";

/** Log name under which attempts arrive at the control plane. */
export const attemptsLog = "fairlead_attempts";
/** Cluster of every bootstrap that reaches the control plane. */
export const controlPlaneCluster = "xds-grpc";
/** First part of the name of Istio's series in Envoy's own naming; the agent's page strips it. */
export const statsPrefix = "fairlead";
/** `filter_metadata` of a live canary's route, which switches the log of its attempts on. */
export const liveRouteMetadata = "fairlead";
/** Key in it: the cluster of the canary. */
export const canaryClusterKey = "canary_cluster";
/**
 * Runtime key in percent: 0 while no canary is live, so that looking at attempts costs nothing then. A proxy without our
 * runtime layer always looks.
 */
export const attemptsSwitch = "fl.attempts.live";
/** Attempts are sent this soon after they end. */
const attemptFlushMs = 50;

/** Facts of a workload as Istio's labels name them. Absent facts are reported as `unknown`. */
export interface WorkloadFacts {
  readonly workload?: string;
  readonly namespace?: string;
  readonly app?: string;
  readonly version?: string;
  readonly canonicalName?: string;
  /** Istio's default is `latest`. */
  readonly canonicalRevision?: string;
  /** Id of the Kubernetes cluster. */
  readonly cluster?: string;
}

export interface ServiceFacts {
  /** Fully qualified host. */
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}

/** `filter_metadata.istio` of an endpoint: the client's series name the destination by it. */
export function endpointMetadata(facts: WorkloadFacts): JsonObject {
  return {
    workload_name: facts.workload ?? "unknown",
    namespace: facts.namespace ?? "unknown",
    app: facts.app ?? "unknown",
    version: facts.version ?? "unknown",
    canonical_name: facts.canonicalName ?? "unknown",
    canonical_revision: facts.canonicalRevision ?? "latest",
    cluster: facts.cluster ?? "unknown",
  };
}

/** `filter_metadata.istio` of an outbound cluster: the service as Istio's `services` list, and flat for the stats logger. */
export function clusterMetadata({ host, name, namespace }: ServiceFacts): JsonObject {
  return {
    services: [{ host, name, namespace }],
    service_host: host,
    service_name: name,
    service_namespace: namespace,
  };
}

/** Series with `reporter="destination"` and the lines of denied requests, for the listener of one inbound port. */
export function inboundAccessLogs(self: WorkloadFacts, service: ServiceFacts | undefined): AccessLog[] {
  const [app, version] = [peerFact("app"), peerFact("version")];
  return [
    istioStats({
      reporter: "destination",
      source_workload: peerFact("workload"),
      source_canonical_service: app,
      source_canonical_revision: version,
      source_workload_namespace: peerFact("namespace"),
      source_principal: "%DOWNSTREAM_PEER_URI_SAN%",
      source_app: app,
      source_version: version,
      source_cluster: self.cluster ?? "unknown",
      ...destinationLiterals(self),
      destination_principal: "%DOWNSTREAM_LOCAL_URI_SAN%",
      destination_service: service?.host ?? self.canonicalName ?? "unknown",
      destination_service_name: service?.name ?? self.canonicalName ?? "unknown",
      destination_service_namespace: service?.namespace ?? self.namespace ?? "unknown",
      connection_security_policy: peerFact("security"),
    }),
    denialLog(),
  ];
}

/** Series with `reporter="source"`, for the listeners of a workload's outgoing requests. */
export function outboundAccessLogs(self: WorkloadFacts): AccessLog[] {
  const host = (key: string) => `%METADATA(UPSTREAM_HOST:istio:${key})%`;
  const service = (key: string) => `%METADATA(CLUSTER:istio:${key})%`;
  return [
    istioStats({
      reporter: "source",
      source_workload: self.workload ?? "unknown",
      source_canonical_service: self.canonicalName ?? "unknown",
      source_canonical_revision: self.canonicalRevision ?? "latest",
      source_workload_namespace: self.namespace ?? "unknown",
      source_principal: "%UPSTREAM_LOCAL_URI_SAN%",
      source_app: self.app ?? "unknown",
      source_version: self.version ?? "unknown",
      source_cluster: self.cluster ?? "unknown",
      destination_workload: host("workload_name"),
      destination_workload_namespace: host("namespace"),
      destination_principal: "%UPSTREAM_PEER_URI_SAN%",
      destination_app: host("app"),
      destination_version: host("version"),
      destination_canonical_service: host("canonical_name"),
      destination_canonical_revision: host("canonical_revision"),
      destination_cluster: host("cluster"),
      destination_service: service("service_host"),
      destination_service_name: service("service_name"),
      destination_service_namespace: service("service_namespace"),
      connection_security_policy: "unknown",
    }),
  ];
}

/**
 * One gRPC access log entry an attempt, for routes that carry the metadata `fairlead` and for no others: a
 * release switches it by its route alone.
 *
 * All attempts at the canary and all failures; of the primary's successes one in {@link primarySample}, which is
 * enough to tell a failure of both from the canary's own and keeps a busy proxy's log small. For `Router.upstream_log`.
 */
export function upstreamAttemptLogs(): AccessLog[] {
  const metadata = "xds.route_metadata.filter_metadata";
  return [
    create(AccessLogSchema, {
      name: "envoy.access_loggers.http_grpc",
      // An expression costs five to ten microseconds: none where no canary is live, one for most attempts where one is.
      filter: and(
        shareOf(attemptsSwitch, 1, 1),
        or(
          expression(`${metadata}['${liveRouteMetadata}']['${canaryClusterKey}'] == xds.cluster_name`),
          and(
            or(
              statusAtLeast(500),
              responseFlags([...noAnswerFlags]),
              and(isGrpc(), grpcStatus([...failedGrpcStatuses])),
              shareOf("fl.attempts.primary", 1, primarySample),
            ),
            expression(`'${liveRouteMetadata}' in ${metadata}`),
          ),
        ),
      ),
      configType: {
        case: "typedConfig",
        value: typed(HttpGrpcAccessLogConfigSchema, {
          commonConfig: {
            logName: attemptsLog,
            transportApiVersion: ApiVersion.V3,
            grpcService: {
              targetSpecifier: { case: "envoyGrpc", value: { clusterName: controlPlaneCluster } },
            },
            bufferFlushInterval: create(DurationSchema, { nanos: attemptFlushMs * 1_000_000 }),
            bufferSizeBytes: 16_384,
          },
          additionalResponseHeadersToLog: ["grpc-status"],
          additionalResponseTrailersToLog: ["grpc-status"],
        }),
      },
    }),
  ];
}

/** No answer came, and it was not the client who gave up. */
export const noAnswerFlags = ["UF", "UC", "UH", "UT", "UPE", "LR", "UR"] as const;
/** gRPC statuses that are the server's failure: unknown, deadline exceeded, resource exhausted, unimplemented … data loss. */
export const failedGrpcStatuses = [2, 4, 8, 12, 13, 14, 15] as const;

function filterOf(filterSpecifier: AccessLogFilter["filterSpecifier"]): AccessLogFilter {
  return create(AccessLogFilterSchema, { filterSpecifier });
}

function and(...filters: AccessLogFilter[]): AccessLogFilter {
  return filterOf({ case: "andFilter", value: create(AndFilterSchema, { filters }) });
}

function or(...filters: AccessLogFilter[]): AccessLogFilter {
  return filterOf({ case: "orFilter", value: create(OrFilterSchema, { filters }) });
}

/** A CEL expression on the attempt. */
function expression(text: string): AccessLogFilter {
  return filterOf({
    case: "extensionFilter",
    value: create(ExtensionFilterSchema, {
      name: "envoy.access_loggers.extension_filters.cel",
      configType: { case: "typedConfig", value: typed(ExpressionFilterSchema, { expression: text }) },
    }),
  });
}

function statusAtLeast(status: number): AccessLogFilter {
  const value = create(RuntimeUInt32Schema, { defaultValue: status, runtimeKey: "fl.attempts.status" });
  const comparison = create(ComparisonFilterSchema, { op: ComparisonFilter_Op.GE, value });
  return filterOf({ case: "statusCodeFilter", value: create(StatusCodeFilterSchema, { comparison }) });
}

function responseFlags(flags: string[]): AccessLogFilter {
  return filterOf({ case: "responseFlagFilter", value: create(ResponseFlagFilterSchema, { flags }) });
}

/** `count` of `of`, unless the runtime key says otherwise (in percent where `of` is 1). */
function shareOf(runtimeKey: string, count: number, of: number): AccessLogFilter {
  const percentSampled =
    of === 1
      ? { numerator: 100 * count, denominator: Denominator.HUNDRED }
      : { numerator: (1_000_000 * count) / of, denominator: Denominator.MILLION };
  return filterOf({
    case: "runtimeFilter",
    value: create(RuntimeFilterSchema, { runtimeKey, percentSampled, useIndependentRandomness: true }),
  });
}

function isGrpc(): AccessLogFilter {
  const prefix = { matchPattern: { case: "prefix" as const, value: "application/grpc" } };
  const header = create(HeaderMatcherSchema, {
    name: "content-type",
    headerMatchSpecifier: { case: "stringMatch", value: create(StringMatcherSchema, prefix) },
  });
  return filterOf({ case: "headerFilter", value: create(HeaderFilterSchema, { header }) });
}

function grpcStatus(statuses: GrpcStatusFilter_Status[]): AccessLogFilter {
  return filterOf({ case: "grpcStatusFilter", value: create(GrpcStatusFilterSchema, { statuses }) });
}

function destinationLiterals(self: WorkloadFacts): Record<string, string> {
  return {
    destination_workload: self.workload ?? "unknown",
    destination_workload_namespace: self.namespace ?? "unknown",
    destination_app: self.app ?? "unknown",
    destination_version: self.version ?? "unknown",
    destination_canonical_service: self.canonicalName ?? "unknown",
    destination_canonical_revision: self.canonicalRevision ?? "latest",
    destination_cluster: self.cluster ?? "unknown",
  };
}

/** Istio's four HTTP series with the given tags and those that are the same on both sides. */
function istioStats(ownTags: Record<string, string>): AccessLog {
  const values: Record<string, string> = {
    ...ownTags,
    request_protocol: "%REQ(CONTENT-TYPE)%",
    response_code: "%RESPONSE_CODE%",
    grpc_response_status: "%GRPC_STATUS_NUMBER%",
    response_flags: "%RESPONSE_FLAGS%",
  };
  const tags = Object.entries(values).map(([name, valueFormat]) => ({
    name,
    valueFormat,
    ...rulesOf(name, valueFormat),
  }));
  const histogram = (name: string, unit: Unit, valueFormat: string) => ({
    stat: { name, tags },
    unit,
    valueFormat,
  });
  return create(AccessLogSchema, {
    name: "envoy.access_loggers.stats",
    configType: {
      case: "typedConfig",
      value: typed(ConfigSchema, {
        statsScope: { prefix: statsPrefix },
        counters: [{ stat: { name: "istio_requests_total", tags }, valueFixed: 1n }],
        histograms: [
          histogram("istio_request_duration_milliseconds", Unit.Milliseconds, "%DURATION%"),
          histogram("istio_request_bytes", Unit.Bytes, "%DOWNSTREAM_WIRE_BYTES_RECEIVED%"),
          histogram("istio_response_bytes", Unit.Bytes, "%DOWNSTREAM_WIRE_BYTES_SENT%"),
        ],
      }),
    },
  });
}

/** Istio leaves an absent gRPC status empty and absent response flags `-`; every other missing value reads `unknown`. */
const keepsOwnAbsence = new Set(["grpc_response_status", "response_flags"]);

/** What becomes of a tag's value before it is counted. */
function rulesOf(name: string, valueFormat: string): { readonly rules?: Matcher } {
  if (!valueFormat.startsWith("%") || keepsOwnAbsence.has(name)) return {};
  if (name === "request_protocol") return { rules: grpcOrHttp };
  return { rules: name === "connection_security_policy" ? noneWhenMissing : unknownWhenMissing };
}

const tagValue = { name: "tag", typedConfig: typed(StatTagValueInputSchema, {}) };

/** A tag value that Envoy could not tell is `unknown`, as Istio spells it. */
const unknownWhenMissing = whenMissing("unknown");
/** A connection without a certificate has no security. */
const noneWhenMissing = whenMissing("none");

function whenMissing(value: string): Matcher {
  const map = { "": becomes(value), "-": becomes(value) };
  return create(MatcherSchema, {
    matcherType: {
      case: "matcherTree",
      value: { input: tagValue, treeType: { case: "exactMatchMap", value: { map } } },
    },
  });
}

/** A content type of gRPC, or anything else. */
const grpcOrHttp: Matcher = create(MatcherSchema, {
  matcherType: {
    case: "matcherTree",
    value: {
      input: tagValue,
      treeType: { case: "prefixMatchMap", value: { map: { "application/grpc": becomes("grpc") } } },
    },
  },
  onNoMatch: becomes("http"),
});

function becomes(newTagValue: string) {
  const transform: Any = typed(TransformStatSchema, { updateTag: { newTagValue } });
  return { onMatch: { case: "action" as const, value: { name: newTagValue, typedConfig: transform } } };
}
