import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type AccessLog,
  AccessLogSchema,
} from "../../envoy/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import { OpenTelemetryConfigSchema } from "../../envoy/generated/envoy/config/trace/v3/opentelemetry_pb.js";
import {
  ZipkinConfig_CollectorEndpointVersion as CollectorVersion,
  ZipkinConfigSchema,
} from "../../envoy/generated/envoy/config/trace/v3/zipkin_pb.js";
import { FileAccessLogSchema } from "../../envoy/generated/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { ExpressionFilterSchema } from "../../envoy/generated/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js";
import {
  type Config,
  ConfigSchema,
} from "../../envoy/generated/envoy/extensions/access_loggers/stats/v3/stats_pb.js";
import {
  StderrAccessLogSchema,
  StdoutAccessLogSchema,
} from "../../envoy/generated/envoy/extensions/access_loggers/stream/v3/stream_pb.js";
import type { HttpConnectionManager_TracingSchema } from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { CustomTagSchema } from "../../envoy/generated/envoy/type/tracing/v3/custom_tag_pb.js";
import type { Model } from "../model/model.ts";
import { outboundCluster } from "../model/names.ts";
import type { Proxy } from "../model/proxy.ts";
import {
  type EffectiveTelemetry,
  effectiveTelemetry,
  type FileLog,
  type MetricOverride,
  type Reporter,
  rulesAt,
  type TagValue,
  type Tracer,
} from "../model/telemetry.ts";
import { typed } from "./any.ts";
import { durationFromMs } from "./values.ts";
import type { Telemetry } from "./workload-filters.ts";

/** Istio's text of an access log. */
const defaultFormat =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n';

/**
 * Makes the function that lays the users' Telemetry over what every proxy records: the very `base` where nothing is said,
 * and equal objects while nothing that matters to a proxy changes.
 */
export function createTelemetryRules(base: Telemetry) {
  /** By what they say and of whom, for the rules that are in force. */
  const known = new Map<string, Telemetry>();
  let of: Model["telemetry"];
  return (model: Model, proxy: Proxy): Telemetry => {
    if (model.telemetry === undefined) return base;
    if (of !== model.telemetry) known.clear();
    of = model.telemetry;
    const rules = rulesAt(model.telemetry, model.settings, proxy);
    const isReachable = ({ host, port }: Tracer) =>
      model.services.get(host)?.ports.some(({ number }) => number === port) === true;
    const effective = effectiveTelemetry(rules, model.telemetry.providers, isReachable);
    const plain = (_key: string, value: unknown) => (value instanceof Map ? [...value] : value);
    const key = `${proxy.facts.canonicalName}.${proxy.facts.namespace} ${JSON.stringify(effective, plain)}`;
    const telemetry = known.get(key) ?? lay(base, effective, proxy);
    known.set(key, telemetry);
    return telemetry;
  };
}

function lay(base: Telemetry, effective: EffectiveTelemetry, { facts }: Proxy): Telemetry {
  const more = (reporter: Reporter) =>
    effective.logs.filter((one) => one.reporter === reporter).map(({ log, filter }) => fileLog(log, filter));
  const tracing =
    effective.tracing && buildTracing(effective.tracing, `${facts.canonicalName}.${facts.namespace}`);
  return {
    ...base,
    inboundAccessLogs: (self, service) => [
      ...override(base.inboundAccessLogs(self, service), effective.metrics, "destination"),
      ...more("destination"),
    ],
    outboundAccessLogs: (self) => [
      ...override(base.outboundAccessLogs(self), effective.metrics, "source"),
      ...more("source"),
    ],
    ...(tracing && { tracing }),
  };
}

type Tracing = MessageInitShape<typeof HttpConnectionManager_TracingSchema>;

/** @see envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing */
function buildTracing(
  { tracer, sampling, tags }: NonNullable<EffectiveTelemetry["tracing"]>,
  service: string,
): Tracing {
  return {
    provider: provider(tracer, service),
    clientSampling: { value: 100 },
    randomSampling: { value: sampling },
    overallSampling: { value: 100 },
    customTags: [...tags].map(([tag, value]) => ({ tag, type: tagType(value) })),
    ...(tracer.maxTagLength !== undefined && { maxPathTagLength: tracer.maxTagLength }),
  };
}

function provider({ kind, host, port, path }: Tracer, serviceName: string): NonNullable<Tracing["provider"]> {
  const cluster = outboundCluster(host, port);
  if (kind === "zipkin") {
    const config = typed(ZipkinConfigSchema, {
      collectorCluster: cluster,
      collectorEndpoint: path,
      collectorEndpointVersion: CollectorVersion.HTTP_JSON,
      collectorHostname: host,
      traceId128bit: true,
      sharedSpanContext: false,
    });
    return { name: "envoy.tracers.zipkin", configType: { case: "typedConfig", value: config } };
  }
  const config = typed(OpenTelemetryConfigSchema, {
    serviceName,
    ...(kind === "otlp-grpc"
      ? {
          grpcService: {
            targetSpecifier: { case: "envoyGrpc", value: { clusterName: cluster, authority: host } },
          },
        }
      : {
          httpService: {
            httpUri: {
              uri: `http://${host}:${port}${path}`,
              httpUpstreamType: { case: "cluster", value: cluster },
              timeout: durationFromMs(10_000),
            },
          },
        }),
  });
  return { name: "envoy.tracers.opentelemetry", configType: { case: "typedConfig", value: config } };
}

function tagType(value: TagValue): NonNullable<MessageInitShape<typeof CustomTagSchema>["type"]> {
  if (value.kind === "literal") return { case: "literal", value: { value: value.value } };
  const named = { name: value.name, defaultValue: value.otherwise };
  return value.kind === "header"
    ? { case: "requestHeader", value: named }
    : { case: "environment", value: named };
}

function fileLog({ path, format }: FileLog, filter: string | undefined): AccessLog {
  const logFormat =
    typeof format === "object"
      ? { format: { case: "jsonFormat" as const, value: { ...format } } }
      : { format: { case: "textFormatSource" as const, value: inline(format ?? defaultFormat) } };
  const accessLogFormat = { case: "logFormat" as const, value: logFormat };
  // Envoy opens a file by its name: its own output may be a socket, which has none.
  const [name, value] =
    path === "/dev/stdout"
      ? ["envoy.access_loggers.stdout", typed(StdoutAccessLogSchema, { accessLogFormat })]
      : path === "/dev/stderr"
        ? ["envoy.access_loggers.stderr", typed(StderrAccessLogSchema, { accessLogFormat })]
        : ["envoy.access_loggers.file", typed(FileAccessLogSchema, { path, accessLogFormat })];
  return create(AccessLogSchema, {
    name,
    configType: { case: "typedConfig", value },
    ...(filter !== undefined && {
      filter: {
        filterSpecifier: {
          case: "extensionFilter",
          value: {
            name: "envoy.access_loggers.extension_filters.cel",
            configType: { case: "typedConfig", value: typed(ExpressionFilterSchema, { expression: filter }) },
          },
        },
      },
    }),
  });
}

function inline(text: string) {
  return { specifier: { case: "inlineString" as const, value: text.endsWith("\n") ? text : `${text}\n` } };
}

/** Istio's series with what a user changed of them. */
function override(
  logs: readonly AccessLog[],
  overrides: readonly MetricOverride[],
  reporter: Reporter,
): readonly AccessLog[] {
  const own = overrides.filter(({ reporters }) => reporters.includes(reporter));
  if (own.length === 0) return logs;
  return logs.map((log) => {
    if (log.name !== "envoy.access_loggers.stats" || log.configType.case !== "typedConfig") return log;
    const config = fromBinary(ConfigSchema, log.configType.value.value);
    return { ...log, configType: { case: "typedConfig", value: typed(ConfigSchema, changed(config, own)) } };
  });
}

type Stated = { readonly stat?: Config["counters"][number]["stat"] };

function changed(config: Config, overrides: readonly MetricOverride[]): Config {
  const change = <Entry extends Stated>(entries: readonly Entry[]): Entry[] =>
    entries.flatMap((entry) => {
      const { stat } = entry;
      const concerning = overrides.filter(
        ({ metric }) => metric === undefined || stat?.name === `istio_${metric}`,
      );
      if (stat === undefined || concerning.length === 0) return [entry];
      if (concerning.findLast(({ disabled }) => disabled !== undefined)?.disabled === true) return [];
      const tags = new Map(stat.tags.map((tag) => [tag.name, tag]));
      for (const [name, value] of concerning.flatMap((one) => [...one.tags])) {
        if (value === undefined) tags.delete(name);
        else
          tags.set(name, { ...(tags.get(name) ?? firstOf(stat.tags)), name, valueFormat: `%CEL(${value})%` });
      }
      return [{ ...entry, stat: { ...stat, tags: [...tags.values()] } }];
    });
  return { ...config, counters: change(config.counters), histograms: change(config.histograms) };
}

/** Any tag, for its form. */
function firstOf<Tag>(tags: readonly Tag[]): Tag {
  const [first] = tags;
  if (first === undefined) throw new Error("a series has no tag");
  return first;
}
