import type { Canary, MetricTemplate } from "../../api/kinds.ts";
import { parseDuration } from "../../lib/units.ts";
import { createPrometheus } from "../providers/prometheus.ts";
import type { Provider } from "../providers/types.ts";
import { istioQueries } from "./istio.ts";
import type { Metric, ThresholdRange } from "./metric.ts";
import { fillTemplate, type TemplateValues } from "./template.ts";

type CanaryMetric = NonNullable<NonNullable<Canary["spec"]["analysis"]>["metrics"]>[number];

/** Where metrics come from beside the proxies' own counters. */
export interface MetricSources {
  /** The controller's `--metrics-server`: built-in checks and inline queries go there; from signals where absent. */
  readonly metricsServer?: string | undefined;
  /** A MetricTemplate of the snapshot. */
  template(namespace: string, name: string): MetricTemplate | undefined;
  /** A Secret's values, decoded; rejects where it cannot be read. */
  secret(namespace: string, name: string): Promise<ReadonlyMap<string, string>>;
}

export interface ReadMetric {
  readonly metric: Metric;
  /** Why the metric cannot be measured as written. */
  readonly problem?: string;
}

type BuiltIn = keyof typeof istioQueries;

/** One entry of `spec.analysis.metrics`, ready to be measured. What cannot be measured becomes a broken metric and a problem. */
export function readMetric(metric: CanaryMetric, canary: Canary, sources: MetricSources): ReadMetric {
  const interval = parseDuration(metric.interval ?? "1m") ?? 60_000;
  const base = { name: metric.name, range: rangeOf(metric), interval };
  const broken = (outcome: "failed" | "inconclusive", reason: string): ReadMetric => ({
    metric: { ...base, kind: "broken", outcome, reason },
    problem: reason,
  });
  const query = (template: string, provider: Provider, whole: boolean): ReadMetric => {
    const filled = fillTemplate(template, templateValues(metric, canary));
    if (filled.kind === "refused")
      return broken("inconclusive", `query of metric ${metric.name}: ${filled.reason}`);
    return { metric: { ...base, kind: "query", query: filled.text, provider, whole } };
  };
  const server = canary.spec.metricsServer ?? sources.metricsServer;
  if (metric.templateRef !== undefined)
    return readTemplate(metric.templateRef, canary, sources, query, broken);
  if (metric.query !== undefined && metric.query !== "") {
    if (server === undefined)
      return broken(
        "inconclusive",
        `metric ${metric.name} has a query and no prometheus to ask: set spec.metricsServer`,
      );
    return query(metric.query, createPrometheus({ address: server }), false);
  }
  if (!isBuiltIn(metric.name))
    return broken("failed", `metric ${metric.name} is not built in and has neither query nor templateRef`);
  if (server === undefined) return { metric: { ...base, kind: "signals", measure: metric.name } };
  const { provider = "istio" } = canary.spec;
  if (provider !== "istio")
    return broken(
      "inconclusive",
      `the built-in metrics of provider ${provider} are not supported with a metricsServer`,
    );
  return query(
    istioQueries[metric.name],
    createPrometheus({ address: server }),
    metric.name === "request-duration",
  );
}

function readTemplate(
  { name, namespace }: NonNullable<CanaryMetric["templateRef"]>,
  canary: Canary,
  sources: MetricSources,
  query: (template: string, provider: Provider, whole: boolean) => ReadMetric,
  broken: (outcome: "inconclusive", reason: string) => ReadMetric,
): ReadMetric {
  const home = namespace ?? canary.metadata.namespace ?? "default";
  const template = sources.template(home, name);
  if (template === undefined) return broken("inconclusive", `metrictemplate ${home}/${name} does not exist`);
  const { provider } = template.spec;
  if (provider.type !== "prometheus")
    return broken(
      "inconclusive",
      `metrictemplate ${home}/${name}: provider ${provider.type} is not supported yet`,
    );
  if (provider.address === undefined)
    return broken("inconclusive", `metrictemplate ${home}/${name}: the provider has no address`);
  const { secretRef } = provider;
  return query(
    template.spec.query,
    createPrometheus({
      address: provider.address,
      ...(provider.headers === undefined ? {} : { headers: provider.headers }),
      ...(secretRef === undefined ? {} : { secret: () => sources.secret(home, secretRef.name) }),
      insecureSkipVerify: provider.insecureSkipVerify ?? false,
    }),
    false,
  );
}

/**
 * The range that is checked: `thresholdRange`, else the deprecated `threshold` (a least success rate, a most of
 * anything else), else Flagger's meaning of neither: a success rate always passes, anything else must not be above 0.
 */
export function rangeOf({ name, thresholdRange, threshold }: CanaryMetric): ThresholdRange {
  if (thresholdRange !== undefined) return thresholdRange;
  if (name === "request-success-rate") return threshold === undefined ? {} : { min: threshold };
  return { max: threshold ?? 0 };
}

function isBuiltIn(name: string): name is BuiltIn {
  return Object.hasOwn(istioQueries, name);
}

function templateValues(metric: CanaryMetric, canary: Canary): TemplateValues {
  const { spec, metadata } = canary;
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? "default",
    target: spec.targetRef.name,
    service: spec.service?.name ?? spec.targetRef.name,
    ingress: spec.ingressRef?.name ?? spec.targetRef.name,
    route: spec.routeRef?.name ?? spec.targetRef.name,
    interval: metric.interval ?? "1m",
    variables: new Map(Object.entries(metric.templateVariables ?? {})),
  };
}
