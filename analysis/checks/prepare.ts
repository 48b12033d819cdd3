import type { ReadCanary, ReadMetric } from "../../api/canary/types.ts";
import type { MetricTemplate } from "../../api/kinds.ts";
import type { Milliseconds } from "../../lib/units.ts";
import { type Providers, plainProviders } from "../providers/providers.ts";
import type { Endpoint, Provider } from "../providers/types.ts";
import { istioQueries } from "./istio.ts";
import type { Metric } from "./metric.ts";
import { shieldQueries, shieldWarning } from "./shield-queries.ts";
import { fillTemplate, type TemplateValues } from "./template.ts";

/** Where metrics come from beside the proxies' own counters. */
export interface MetricSources {
  /** Who answers queries; by default none of the mesh, and nothing is shared with other analyses. */
  readonly providers?: Providers;
  /** The controller's `--metrics-server`: built-in checks and inline queries go there; from signals where absent. */
  readonly metricsServer?: string | undefined;
  /** A MetricTemplate of the snapshot. */
  template(namespace: string, name: string): MetricTemplate | undefined;
  /** A Secret's values, decoded; rejects where it cannot be read. */
  secret(namespace: string, name: string): Promise<ReadonlyMap<string, string>>;
}

export interface PreparedMetric {
  readonly metric: Metric;
  /** Why the metric cannot be measured as written. */
  readonly problem?: string;
  /** Why it says less than its author may think. */
  readonly warning?: string;
}

/** One metric of a Canary, ready to be measured. What cannot be measured becomes a broken metric and a problem. */
export function prepareMetric(
  metric: ReadMetric,
  canary: ReadCanary,
  sources: MetricSources,
): PreparedMetric {
  const server = canary.metricsServer ?? sources.metricsServer;
  const { providers = plainProviders } = sources;
  const { name } = metric;
  switch (metric.kind) {
    case "template":
      return prepareTemplate(metric, canary, sources);
    case "query": {
      const provider = server === undefined ? providers.mesh : providers.prometheus({ address: server }, "");
      return provider === undefined
        ? broken(metric, `metric ${name} has a query and no prometheus to ask: set spec.metricsServer`)
        : byQuery(metric, canary, metric.query, provider);
    }
    default: {
      const base = { name, range: metric.range, interval: metric.interval };
      const { shield } = canary.analysis;
      if (server === undefined)
        return {
          metric: { ...base, kind: "signals", measure: metric.kind, ...(shield && { shielded: true }) },
        };
      if (canary.provider !== "istio") {
        return broken(
          metric,
          `built-in metrics of provider ${canary.provider} cannot be asked of a prometheus: use a metrictemplate`,
        );
      }
      const provider = providers.prometheus({ address: server }, "");
      return shield
        ? byQuery(metric, canary, shieldQueries[metric.kind], provider, `shielded ${metric.kind}`)
        : byQuery(metric, canary, istioQueries[metric.kind], provider, metric.kind);
    }
  }
}

function prepareTemplate(
  metric: Extract<ReadMetric, { kind: "template" }>,
  canary: ReadCanary,
  sources: MetricSources,
): PreparedMetric {
  const { namespace, name } = metric.template;
  const title = `metrictemplate ${namespace}/${name}`;
  const template = sources.template(namespace, name);
  if (template === undefined) return broken(metric, `${title} does not exist`);
  const provider = providerOf(template, namespace, sources);
  return typeof provider === "string"
    ? broken(metric, `${title}: ${provider}`)
    : byQuery(metric, canary, template.spec.query, provider, `${namespace}/${name}`);
}

/** Who answers a template's query; or why nobody does. */
function providerOf({ spec }: MetricTemplate, namespace: string, sources: MetricSources): Provider | string {
  const { providers = plainProviders } = sources;
  const {
    type,
    address,
    headers,
    secretRef,
    insecureSkipVerify = false,
    timeoutSeconds,
    jsonPath,
  } = spec.provider;
  if (type === "prometheus" && address === undefined) return providers.mesh ?? "the provider has no address";
  if (address === undefined) return "the provider has no address";
  const endpoint: Endpoint = {
    address,
    ...(headers === undefined ? {} : { headers }),
    ...(secretRef === undefined ? {} : { secret: () => sources.secret(namespace, secretRef.name) }),
    ...(timeoutSeconds === undefined ? {} : { timeout: timeoutSeconds * 1000 }),
    insecureSkipVerify,
  };
  const user = secretRef === undefined ? "" : `${namespace}/${secretRef.name}`;
  switch (type) {
    case "prometheus":
      return providers.prometheus(endpoint, user);
    case "web":
      return jsonPath === undefined
        ? "the provider has no jsonPath"
        : providers.web({ ...endpoint, jsonPath }, user);
    default:
      return `provider ${type} is not supported yet`;
  }
}

function byQuery(
  metric: ReadMetric,
  canary: ReadCanary,
  template: string,
  provider: Provider,
  group?: string,
): PreparedMetric {
  const filled = fillTemplate(template, templateValues(metric, canary));
  if (filled.kind === "refused") return broken(metric, `query of metric ${metric.name}: ${filled.reason}`);
  const { name, range, interval, kind } = metric;
  const own = kind === "query" || kind === "template";
  const warning = own && canary.analysis.shield ? shieldWarning(template) : undefined;
  return {
    ...(warning !== undefined && { warning: `query of metric ${name} ${warning}` }),
    metric: {
      kind: "query",
      name,
      range,
      interval,
      query: filled.text,
      provider,
      ...(group === undefined ? {} : { group }),
      whole: kind === "request-duration",
    },
  };
}

function broken({ name, range, interval }: ReadMetric, reason: string): PreparedMetric {
  return {
    metric: { kind: "broken", name, range, interval, reason },
    problem: reason,
  };
}

function templateValues(
  metric: ReadMetric,
  { name, namespace, target, service, object }: ReadCanary,
): TemplateValues {
  return {
    name,
    namespace,
    target: target.name,
    service: service.name,
    ingress: object.spec.ingressRef?.name ?? target.name,
    route: object.spec.routeRef?.name ?? target.name,
    interval: promDuration(metric.interval),
    variables: new Map(Object.entries(metric.variables)),
  };
}

/** A range as PromQL and Go spell it: `1m`, `90s`, `1500ms`. */
function promDuration(interval: Milliseconds): string {
  if (interval % 60_000 === 0) return `${interval / 60_000}m`;
  return interval % 1000 === 0 ? `${interval / 1000}s` : `${interval}ms`;
}
