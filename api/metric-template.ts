import { jsonPathProblem } from "./json-path.ts";
import { type MetricTemplate, MetricTemplateKind } from "./kinds.ts";
import { type Reading, read } from "./read.ts";
import { type Problem, refOf } from "./resource.ts";

/** Reads a MetricTemplate: its schema, and what a `web` provider needs beyond it. */
export function readMetricTemplate(found: unknown): Reading<MetricTemplate> {
  const { value, problems } = read(MetricTemplateKind, found);
  const more = value === undefined ? [] : webProblems(value);
  return { value: more.length > 0 ? undefined : value, problems: [...problems, ...more] };
}

function webProblems(template: MetricTemplate): readonly Problem[] {
  const { provider, query } = template.spec;
  if (provider.type !== "web") return [];
  const at = (field: string, message: string): Problem => ({
    resource: refOf(template),
    field: `/spec/${field}`,
    message,
  });
  const path = jsonPathProblem(provider.jsonPath ?? "");
  const isRelative = /^(?:\/(?![/\\])|\?)/.test(query.trim());
  return [
    ...(provider.address === undefined ? [at("provider/address", "is missing: web needs a url")] : []),
    ...(path === undefined ? [] : [at("provider/jsonPath", path)]),
    ...(isRelative ? [] : [at("query", "must be a path or parameters of the address: `/...` or `?...`")]),
  ];
}
