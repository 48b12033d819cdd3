import type { ReadCanary, ReadMetric } from "../../api/canary/types.ts";
import type { SeriesTest } from "../judge/settings.ts";
import type { Metric } from "./metric.ts";
import { type MetricSources, prepareMetric } from "./prepare.ts";

type Query = Extract<Metric, { kind: "query" }>;

/** A metric of a provider that is asked for canary and primary at the same time. */
export type PairedMetric =
  | {
      readonly kind: "counts";
      readonly name: string;
      readonly canary: { readonly total: Query; readonly bad: Query };
      readonly primary: { readonly total: Query; readonly bad: Query };
      readonly test: SeriesTest;
    }
  | {
      readonly kind: "values";
      readonly name: string;
      readonly canary: Query;
      readonly primary: Query;
      readonly worse: "higher" | "lower";
      /** How much worse than the primary's is tolerated, percent. */
      readonly relative: number;
      /** Of the sequential judge; absent for a Mann-Whitney check. */
      readonly test?: SeriesTest;
    };

export type PreparedPair =
  | { readonly kind: "pair"; readonly pair: PairedMetric }
  | { readonly kind: "problem"; readonly message: string };

/**
 * What of a metric is compared with the primary, where `sequential` asks for it: its `counts` (the metric's own, else
 * its template's), or its values where `sequential.test` says how. Else undefined: it stays a check alone.
 *
 * The primary is asked by the same query with the primary's workload as `{{ target }}`.
 */
export function preparePair(
  metric: ReadMetric,
  canary: ReadCanary,
  sources: MetricSources,
): PreparedPair | undefined {
  const { sequential, name } = metric;
  if (
    sequential === undefined ||
    metric.kind === "request-success-rate" ||
    metric.kind === "request-duration"
  )
    return undefined;
  const counts = metric.counts ?? templateCounts(metric, sources);
  const { relative, absolute, mde } = sequential;
  if (counts !== undefined) {
    const total = bothArms(metric, counts.total, canary, sources);
    const bad = bothArms(metric, counts.bad, canary, sources);
    if (typeof total === "string") return { kind: "problem", message: total };
    if (typeof bad === "string") return { kind: "problem", message: bad };
    return {
      kind: "pair",
      pair: {
        kind: "counts",
        name,
        canary: { total: total.canary, bad: bad.canary },
        primary: { total: total.primary, bad: bad.primary },
        test: {
          ...{ kind: "counts", metric: name },
          ...{ rho: 1 + relative / 100, delta: absolute / 100, mde: mde / 100 },
        } as const,
      },
    };
  }
  if (sequential.test === undefined) return undefined;
  const arms = bothArms(metric, undefined, canary, sources);
  if (typeof arms === "string") return { kind: "problem", message: arms };
  const worse = metric.range.max === undefined && metric.range.min !== undefined ? "lower" : "higher";
  return {
    kind: "pair",
    pair: {
      ...{ kind: "values", name, worse, relative },
      ...arms,
      ...(sequential.test === "sign" && {
        test: { kind: "sign", metric: name, worse, tolerance: relative / 100 } as const,
      }),
    },
  };
}

function templateCounts(
  metric: ReadMetric,
  sources: MetricSources,
): { total: string; bad: string } | undefined {
  if (metric.kind !== "template") return undefined;
  return sources.template(metric.template.namespace, metric.template.name)?.spec.counts;
}

/** The same query for both arms, `text` in place of the metric's own where given; a message where it cannot be. */
function bothArms(
  metric: ReadMetric,
  text: string | undefined,
  canary: ReadCanary,
  sources: MetricSources,
): { readonly canary: Query; readonly primary: Query } | string {
  const asked = text === undefined ? sources : withQuery(sources, text);
  const own = metric.kind === "query" && text !== undefined ? { ...metric, query: text } : metric;
  const primaryTarget = { ...canary.target, name: canary.names.primaryWorkload };
  const ours = prepareMetric(own, canary, asked);
  const theirs = prepareMetric(own, { ...canary, target: primaryTarget }, asked);
  if (ours.metric.kind !== "query" || theirs.metric.kind !== "query")
    return ours.problem ?? theirs.problem ?? `metric ${metric.name} has no query`;
  if (ours.metric.query === theirs.metric.query)
    return `metric ${metric.name} cannot be compared: its query asks the same of canary and primary; name {{ target }} in it`;
  return { canary: ours.metric, primary: theirs.metric };
}

function withQuery(sources: MetricSources, query: string): MetricSources {
  return {
    ...sources,
    template: (namespace, name) => {
      const template = sources.template(namespace, name);
      return template && { ...template, spec: { ...template.spec, query } };
    },
    secret: (namespace, name) => sources.secret(namespace, name),
  };
}
