import { parse } from "yaml";
import type { ConfigMap } from "../../api/core.ts";
import type { AccessLoggingSpec, MetricsSpec, TracingSpec } from "../../api/generated/telemetries.ts";
import type { Telemetry } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import type {
  AccessLogRule,
  FileLog,
  MetricOverride,
  Reporter,
  TagValue,
  TelemetryModel,
  TelemetryProviders,
  TelemetryRule,
  Tracer,
  TracingRule,
} from "../model/telemetry.ts";
import { type Report, reportOn } from "./problem.ts";

export interface TranslatedTelemetry {
  readonly rule: TelemetryRule;
  readonly problems: readonly Problem[];
}

const series: Readonly<Record<string, string>> = {
  REQUEST_COUNT: "requests_total",
  REQUEST_DURATION: "request_duration_milliseconds",
  REQUEST_SIZE: "request_bytes",
  RESPONSE_SIZE: "response_bytes",
};

/** A Telemetry by itself. @see telemetry.istio.io Telemetry */
export function translateTelemetry(object: Telemetry): TranslatedTelemetry {
  const problems: Problem[] = [];
  const source = refOf(object);
  const report = reportOn(source, problems).at("spec");
  const { namespace = "default", creationTimestamp = "" } = object.metadata;
  const { spec } = object;
  for (const field of ["targetRef", "targetRefs"] as const)
    if (spec[field] !== undefined) report.problem(field, "is not carried out yet, use a selector");
  const [tracing, ...more] = spec.tracing ?? [];
  if (more.length > 0) report.at("tracing").problem("1", "only the first entry counts");
  const targeted = spec.targetRef !== undefined || spec.targetRefs !== undefined;
  const rule: TelemetryRule = {
    source,
    namespace,
    selector: spec.selector?.matchLabels,
    tracing: targeted ? undefined : tracing && readTracing(tracing, report.at("tracing", 0)),
    metrics: targeted
      ? []
      : (spec.metrics ?? []).flatMap((one, index) => readMetrics(one, report.at("metrics", index))),
    accessLogging: targeted ? [] : (spec.accessLogging ?? []).map(readAccessLogging),
    createdAt: creationTimestamp,
  };
  return { rule, problems };
}

function readTracing(written: TracingSpec, report: Report): TracingRule {
  for (const field of ["match", "disableContextPropagation", "useRequestIdForTraceSampling"] as const)
    if (written[field] !== undefined && written[field] !== null)
      report.problem(field, "is not carried out yet");
  const tags = new Map<string, TagValue>();
  for (const [name, { literal, header, environment, formatter }] of Object.entries(
    written.customTags ?? {},
  )) {
    if (literal) tags.set(name, { kind: "literal", value: literal.value });
    else if (header)
      tags.set(name, { kind: "header", name: header.name, otherwise: header.defaultValue ?? "" });
    else if (environment)
      tags.set(name, {
        kind: "environment",
        name: environment.name,
        otherwise: environment.defaultValue ?? "",
      });
    else if (formatter) report.at("customTags").problem(name, "formatter is not carried out yet");
  }
  const [provider] = written.providers ?? [];
  const { disableSpanReporting: disabled, randomSamplingPercentage: sampling } = written;
  return {
    ...(provider && { provider: provider.name }),
    ...(typeof disabled === "boolean" && { disabled }),
    ...(typeof sampling === "number" && { sampling }),
    ...(written.customTags && { tags }),
  };
}

function reportersOf(mode: string | undefined): readonly Reporter[] {
  return mode === "CLIENT" ? ["source"] : mode === "SERVER" ? ["destination"] : ["source", "destination"];
}

function readMetrics({ overrides = [], reportingInterval }: MetricsSpec, report: Report): MetricOverride[] {
  if (reportingInterval !== undefined)
    report.problem("reportingInterval", "is not carried out: proxies report each second");
  return overrides.flatMap(({ match, disabled, tagOverrides }, index) => {
    const { metric } = match ?? {};
    const known = metric === undefined || metric === "ALL_METRICS" ? undefined : series[metric];
    if (
      match?.customMetric !== undefined ||
      (metric !== undefined && metric !== "ALL_METRICS" && known === undefined)
    ) {
      report
        .at("overrides", index)
        .problem("match", `\`${match?.customMetric ?? metric}\` is no series that can be changed`);
      return [];
    }
    const tags = Object.entries(tagOverrides ?? {}).map(
      ([name, { operation, value }]): [string, string | undefined] => [
        name,
        operation === "REMOVE" ? undefined : (value ?? '""'),
      ],
    );
    return {
      metric: known,
      reporters: reportersOf(match?.mode),
      disabled: disabled ?? undefined,
      tags: new Map(tags),
    };
  });
}

function readAccessLogging({ match, providers = [], disabled, filter }: AccessLoggingSpec): AccessLogRule {
  return {
    reporters: reportersOf(match?.mode),
    providers: providers.map(({ name }) => name),
    disabled: disabled ?? undefined,
    filter: filter?.expression || undefined,
  };
}

/**
 * The providers that telemetry may name: MeshConfig's `extensionProviders`, `defaultProviders` and `accessLogFile`.
 *
 * `envoy` always writes Istio's text to standard output.
 */
export function readTelemetryProviders(config: ConfigMap | undefined): TelemetryProviders {
  const tracers = new Map<string, Tracer>();
  const logs = new Map<string, FileLog>([["envoy", { path: "/dev/stdout", format: undefined }]]);
  const mesh = readYaml(config?.data?.mesh);
  for (const provider of list(mesh.extensionProviders)) {
    const name = text(provider.name);
    const tracer = readTracer(provider);
    if (name !== undefined && tracer !== undefined) tracers.set(name, tracer);
    const log = record(provider.envoyFileAccessLog);
    if (name !== undefined && provider.envoyFileAccessLog !== undefined) logs.set(name, readLog(log));
  }
  const defaults = record(mesh.defaultProviders);
  const file = text(mesh.accessLogFile);
  if (file !== undefined) logs.set("envoy", { path: file, format: text(mesh.accessLogFormat) });
  const named = texts(defaults.accessLogging);
  return {
    tracers,
    logs,
    defaultTracer: texts(defaults.tracing)[0],
    defaultLogs: named.length > 0 ? named : file === undefined ? [] : ["envoy"],
  };
}

function readTracer({ zipkin, opentelemetry }: Fields): Tracer | undefined {
  const spec = record(zipkin ?? opentelemetry);
  const service = text(spec.service);
  const port = Number(spec.port);
  if (service === undefined || !Number.isInteger(port)) return undefined;
  const http = record(spec.http);
  const path = text(http.path) ?? text(spec.path);
  return {
    kind: zipkin !== undefined ? "zipkin" : spec.http === undefined ? "otlp-grpc" : "otlp-http",
    // `namespace/host` names the Service's namespace, which its full name has anyway.
    host: service.slice(service.indexOf("/") + 1),
    port,
    path: path ?? (zipkin !== undefined ? "/api/v2/spans" : "/v1/traces"),
    maxTagLength: typeof spec.maxTagLength === "number" ? spec.maxTagLength : undefined,
  };
}

function readLog(spec: Fields): FileLog {
  const { text: plain, labels } = record(spec.logFormat);
  const fields = Object.entries(record(labels)).flatMap(([key, value]) =>
    typeof value === "string" ? [[key, value] as const] : [],
  );
  return {
    path: text(spec.path) ?? "/dev/stdout",
    format: text(plain) ?? (fields.length > 0 ? Object.fromEntries(fields) : undefined),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function readYaml(content: string | undefined): Fields {
  try {
    return record(parse(content ?? "", { maxAliasCount: 100 }));
  } catch {
    // The policies' reader of the same text tells of it.
    return {};
  }
}

function record(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function list(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(record) : [];
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Providers that rules name and MeshConfig does not have. */
export function findMissingProviders({ rules, providers }: TelemetryModel): Problem[] {
  const problems: Problem[] = [];
  for (const { source, tracing, accessLogging } of rules) {
    const report = reportOn(source, problems).at("spec");
    const missing = (name: string) =>
      `ConfigMap \`istio\` has no provider \`${name}\` of this sort in extensionProviders`;
    if (tracing?.provider !== undefined && !providers.tracers.has(tracing.provider))
      report.at("tracing", 0, "providers", 0).problem("name", missing(tracing.provider));
    for (const [index, rule] of accessLogging.entries())
      for (const [position, name] of rule.providers.entries())
        if (!providers.logs.has(name))
          report.at("accessLogging", index, "providers", position).problem("name", missing(name));
  }
  return problems;
}
