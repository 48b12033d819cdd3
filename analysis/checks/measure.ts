import type { Answer } from "../providers/types.ts";
import type { Recent } from "../series/recent.ts";
import type { Metric } from "./metric.ts";
import { checkSignals, wholeRange } from "./signals.ts";
import { checkValue, noData, providerError } from "./threshold.ts";
import type { Check } from "./types.ts";

/** Measures every metric, at the same time, in the Canary's order. Never rejects. */
export function measure(
  metrics: readonly Metric[],
  recent: Recent,
  now: number,
  signal: AbortSignal,
): Promise<Check[]> {
  return Promise.all(metrics.map((metric) => measureOne(metric, recent, now, signal)));
}

async function measureOne(metric: Metric, recent: Recent, now: number, signal: AbortSignal): Promise<Check> {
  switch (metric.kind) {
    case "signals":
      return checkSignals(metric, recent, now);
    case "broken":
      return providerError(metric.name, metric.range, metric.reason);
    case "query": {
      try {
        return checkAnswer(metric, await metric.provider.query(metric.query, signal, metric.group));
      } catch (error) {
        return providerError(
          metric.name,
          metric.range,
          `${metric.provider.name}: ${String(error)}`,
          metric.query,
        );
      }
    }
  }
}

/** Holds a provider's answer against the metric's range. */
function checkAnswer(metric: Extract<Metric, { kind: "query" }>, answer: Answer): Check {
  const { name, range, query, provider } = metric;
  switch (answer.kind) {
    case "value":
      return metric.whole
        ? checkValue(name, Math.trunc(answer.value), wholeRange(range), query)
        : checkValue(name, answer.value, range, query);
    case "no-data":
      return noData(name, range, `no values found for metric ${name}: ${answer.reason}`, query);
    case "error":
      return providerError(name, range, `${provider.name}: ${answer.reason}`, query);
  }
}
