/** What every proxy records of single attempts while canaries are live: for the trip wire each, for judges their counts. */
import { create } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
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
import { HeaderMatcherSchema } from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import { ExpressionFilterSchema } from "../../envoy/generated/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js";
import { OpenTelemetryAccessLogConfigSchema } from "../../envoy/generated/envoy/extensions/access_loggers/open_telemetry/v3/logs_service_pb.js";
import {
  ConfigSchema,
  Config_Histogram_Unit as Unit,
} from "../../envoy/generated/envoy/extensions/access_loggers/stats/v3/stats_pb.js";
import { StringMatcherSchema } from "../../envoy/generated/envoy/type/matcher/v3/string_pb.js";
import { FractionalPercent_DenominatorType as Denominator } from "../../envoy/generated/envoy/type/v3/percent_pb.js";
import type { Proxy } from "../model/proxy.ts";
import { typed } from "./any.ts";
import { attemptsPath, signalsCluster } from "./signals-cluster.ts";
import { onlyWithPrefix, rulesOf } from "./stat-tags.ts";
import { statsPrefix } from "./telemetry.ts";

/** Name of the log, which each message says. */
const attemptsLog = "fairlead_attempts";
/** `filter_metadata` of a live canary's route, which switches the log of its attempts on. */
export const liveRouteMetadata = "fairlead";
/** Key in it: the cluster of the canary. */
export const canaryClusterKey = "canary_cluster";
/**
 * Runtime key in percent: 0 while no canary is live, so that looking at attempts costs nothing then. A proxy without our
 * runtime layer always looks.
 */
export const attemptsSwitch = "fl.attempts.live";
/** Runtime key in percent: 100 while a shielded canary is live, whose attempts are counted then. */
export const shieldSwitch = "fl.attempts.shield";
/** Attempts at the clusters of shields: the canary's, and those that rescue its users. */
export const attemptsCounter = "fairlead_attempts_total";
/** How long they took, milliseconds. */
export const attemptsHistogram = "fairlead_attempt_duration_milliseconds";
/** First part of the names of composite clusters, in place of `outbound`. */
export const shieldClusterPrefix = "shield|";
/** Request header with the number of the attempt, which every virtual host asks for. */
const attemptHeader = "x-envoy-attempt-count";
/** Between the parts of an entry in the log of attempts. */
export const attemptSeparator = "\t";
/**
 * The parts of an entry, by Envoy's command operators. What the application says comes last: whatever it is, no other part
 * is mistaken for another.
 *
 * By headers and trailers, as Envoy's own operator for the gRPC status makes one up for answers that have none.
 */
const attemptParts = [
  "%DOWNSTREAM_REMOTE_ADDRESS%",
  "%DURATION%",
  "%UPSTREAM_CLUSTER_RAW%",
  "%METADATA(UPSTREAM_HOST:istio:workload_name)%",
  `%METADATA(ROUTE:${liveRouteMetadata}:${canaryClusterKey})%`,
  "%RESPONSE_FLAGS%",
  "%RESPONSE_CODE%",
  `%REQ(${attemptHeader})%`,
  "%TRAILER(grpc-status)%",
  "%RESP(grpc-status)%",
] as const;
/** Attempts are sent this soon after they end: at half the delay the log costs a busy Envoy twice as much. */
const attemptFlushMs = 100;

/**
 * One access log entry an attempt, by OTLP over HTTP/1.1, for routes that carry the metadata `fairlead` and for no others: a
 * release switches it by its route alone.
 *
 * All attempts at the canary and all failures; of the primary's successes one in {@link primarySample}, which is
 * enough to tell a failure of both from the canary's own and keeps a busy proxy's log small. For `Router.upstream_log`.
 *
 * None for an Envoy before 1.37, which would refuse its listeners: it has no log by HTTP. Its counts are judged all the same.
 */
export function upstreamAttemptLogs({ knowsShields }: Pick<Proxy, "knowsShields">): AccessLog[] {
  if (knowsShields === false) return [];
  const metadata = "xds.route_metadata.filter_metadata";
  return [
    create(AccessLogSchema, {
      name: "envoy.access_loggers.open_telemetry",
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
        value: typed(OpenTelemetryAccessLogConfigSchema, {
          httpService: {
            httpUri: {
              uri: `http://${signalsCluster}${attemptsPath}`,
              httpUpstreamType: { case: "cluster", value: signalsCluster },
              timeout: create(DurationSchema, { seconds: 3n }),
            },
          },
          logName: attemptsLog,
          body: { value: { case: "stringValue", value: attemptParts.join(attemptSeparator) } },
          bufferFlushInterval: create(DurationSchema, { nanos: attemptFlushMs * 1_000_000 }),
          bufferSizeBytes: 16_384,
        }),
      },
    }),
    shieldStats(),
  ];
}

/**
 * The attempts of shielded requests, counted one by one: a rescued request is an answer of the primary in every other
 * count, so these alone tell of the canary.
 *
 * `shield` is the composite cluster, `destination_workload` whose pod was asked: where the canary has none the first
 * attempt goes to the primary's.
 */
function shieldStats(): AccessLog {
  const attempted = {
    shield: "%UPSTREAM_CLUSTER_RAW%",
    attempt: `%REQ(${attemptHeader})%`,
    destination_workload: "%METADATA(UPSTREAM_HOST:istio:workload_name)%",
    destination_workload_namespace: "%METADATA(UPSTREAM_HOST:istio:namespace)%",
  };
  const answered = {
    response_code: "%RESPONSE_CODE%",
    grpc_response_status: "%GRPC_STATUS_NUMBER%",
    response_flags: "%RESPONSE_FLAGS%",
  };
  const tagsOf = (values: Record<string, string>) =>
    Object.entries(values).map(([name, valueFormat]) => ({
      name,
      valueFormat,
      ...(name === "shield" ? { rules: onlyWithPrefix(shieldClusterPrefix) } : rulesOf(name, valueFormat)),
    }));
  return create(AccessLogSchema, {
    name: "envoy.access_loggers.stats",
    filter: shareOf(shieldSwitch, 0, 1),
    configType: {
      case: "typedConfig",
      value: typed(ConfigSchema, {
        statsScope: { prefix: statsPrefix },
        counters: [
          { stat: { name: attemptsCounter, tags: tagsOf({ ...attempted, ...answered }) }, valueFixed: 1n },
        ],
        histograms: [
          {
            stat: { name: attemptsHistogram, tags: tagsOf(attempted) },
            unit: Unit.Milliseconds,
            valueFormat: "%DURATION%",
          },
        ],
      }),
    },
  });
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
