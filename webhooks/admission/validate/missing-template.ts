import type { ReadCanary } from "../../../api/canary/types.ts";
import { type Problem, refOf } from "../../../api/resource.ts";
import type { HasTemplate } from "./object.ts";

/** MetricTemplates that a Canary names and that do not stand in the API server (yet): no run begins before they do. */
export function findMissingTemplates({ object, analysis }: ReadCanary, has: HasTemplate): Problem[] {
  const field = object.spec.analysis ? "/spec/analysis" : "/spec/canaryAnalysis";
  return analysis.metrics.flatMap((metric, index): Problem[] => {
    if (metric.kind !== "template" || has(metric.template.namespace, metric.template.name)) return [];
    const { namespace, name } = metric.template;
    const message = `is \`${namespace}/${name}\`, a MetricTemplate that does not exist yet: no run begins before it does`;
    return [
      {
        resource: refOf(object),
        field: `${field}/metrics/${index}/templateRef`,
        message,
        severity: "warning",
      },
    ];
  });
}
