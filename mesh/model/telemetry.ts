import type { ResourceRef } from "../../api/resource.ts";
import type { Model } from "./model.ts";
import type { Proxy } from "./proxy.ts";

/** What is recorded and where it goes. Absent where nobody said anything of it. */
export interface TelemetryModel {
  /** Oldest first. */
  readonly rules: readonly TelemetryRule[];
  readonly providers: TelemetryProviders;
}

/** A Telemetry object. The same object while it does not change. */
export interface TelemetryRule {
  readonly source: ResourceRef;
  readonly namespace: string;
  /** undefined: all of its namespace; of the mesh in the root namespace. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  readonly tracing: TracingRule | undefined;
  readonly metrics: readonly MetricOverride[];
  readonly accessLogging: readonly AccessLogRule[];
  readonly createdAt: string;
}

/** Absent fields are the wider rule's. */
export interface TracingRule {
  readonly provider?: string;
  readonly disabled?: boolean;
  /** 0-100. */
  readonly sampling?: number;
  readonly tags?: ReadonlyMap<string, TagValue>;
}

export type TagValue =
  | { readonly kind: "literal"; readonly value: string }
  | { readonly kind: "header" | "environment"; readonly name: string; readonly otherwise: string };

/** `source`: what a caller's proxy records, `destination`: what the server's does. */
export type Reporter = "source" | "destination";

export interface MetricOverride {
  /** Istio's series without `istio_`; undefined: all. */
  readonly metric: string | undefined;
  readonly reporters: readonly Reporter[];
  readonly disabled: boolean | undefined;
  /** CEL by tag; undefined removes it. */
  readonly tags: ReadonlyMap<string, string | undefined>;
}

export interface AccessLogRule {
  readonly reporters: readonly Reporter[];
  /** Empty: the wider rule's, or the default ones. */
  readonly providers: readonly string[];
  readonly disabled: boolean | undefined;
  /** CEL; undefined: every request. */
  readonly filter: string | undefined;
}

/** `extensionProviders` of MeshConfig that telemetry may name, and which are the default ones. */
export interface TelemetryProviders {
  readonly tracers: ReadonlyMap<string, Tracer>;
  readonly logs: ReadonlyMap<string, FileLog>;
  readonly defaultTracer: string | undefined;
  readonly defaultLogs: readonly string[];
}

export interface Tracer {
  readonly kind: "zipkin" | "otlp-grpc" | "otlp-http";
  readonly host: string;
  readonly port: number;
  /** Of HTTP, e.g. `/v1/traces`. */
  readonly path: string;
  readonly maxTagLength: number | undefined;
}

export interface FileLog {
  readonly path: string;
  /** A text, or the fields of a JSON object; undefined: Istio's own text. */
  readonly format: string | Readonly<Record<string, string>> | undefined;
}

/** Istio's share of traced requests where nobody says one. */
const defaultSampling = 1;

export interface EffectiveTelemetry {
  readonly tracing:
    | { readonly tracer: Tracer; readonly sampling: number; readonly tags: ReadonlyMap<string, TagValue> }
    | undefined;
  readonly metrics: readonly MetricOverride[];
  readonly logs: readonly {
    readonly reporter: Reporter;
    readonly log: FileLog;
    readonly filter: string | undefined;
  }[];
}

/** The rules in force at a proxy, the mesh's first, then its namespace's, then those that select it; oldest first. */
export function rulesAt(
  { rules }: TelemetryModel,
  { rootNamespace }: Pick<Model["settings"], "rootNamespace">,
  { namespace, labels }: Pick<Proxy, "namespace" | "labels">,
): readonly TelemetryRule[] {
  const rank = ({ namespace: own, selector }: TelemetryRule) =>
    selector !== undefined
      ? 2
      : own === namespace && own !== rootNamespace
        ? 1
        : own === rootNamespace
          ? 0
          : 1;
  return rules
    .filter(
      ({ namespace: own, selector }) =>
        (own === namespace || (own === rootNamespace && selector === undefined)) &&
        Object.entries(selector ?? {}).every(([name, value]) => labels[name] === value),
    )
    .toSorted((a, b) => rank(a) - rank(b));
}

/**
 * What several rules are together: the narrower one's fields win.
 *
 * @param isReachable whether a cluster leads to a tracer: Envoy refuses a listener whose tracer has none
 */
export function effectiveTelemetry(
  rules: readonly TelemetryRule[],
  providers: TelemetryProviders,
  isReachable: (tracer: Tracer) => boolean,
): EffectiveTelemetry {
  const tracing: TracingRule = Object.assign({}, ...rules.map((rule) => rule.tracing));
  const named = tracing.provider ?? providers.defaultTracer;
  const tracer = named === undefined ? undefined : providers.tracers.get(named);
  const isTraced = tracer !== undefined && tracing.disabled !== true && isReachable(tracer);
  const logs = (["source", "destination"] as const).flatMap((reporter) => {
    const own = rules.flatMap(({ accessLogging }) =>
      accessLogging.filter(({ reporters }) => reporters.includes(reporter)),
    );
    const last = own.at(-1);
    const chosen = own.findLast((rule) => rule.providers.length > 0)?.providers;
    if (last?.disabled === true || (last === undefined && providers.defaultLogs.length === 0)) return [];
    const names = chosen ?? (providers.defaultLogs.length > 0 ? providers.defaultLogs : ["envoy"]);
    return names.flatMap((name) => {
      const log = providers.logs.get(name);
      return log === undefined ? [] : [{ reporter, log, filter: last?.filter }];
    });
  });
  return {
    tracing: isTraced
      ? { tracer, sampling: tracing.sampling ?? defaultSampling, tags: tracing.tags ?? new Map() }
      : undefined,
    metrics: rules.flatMap(({ metrics }) => metrics),
    logs,
  };
}
