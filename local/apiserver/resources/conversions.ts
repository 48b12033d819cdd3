/** Kinds that are served in more than one form: how each form is made of the one that is stored. */
import { fieldOf, isObject, type JsonObject, listAt, numberAt, objectAt } from "../json.ts";
import type { ApiObject } from "../object.ts";
import type { Conversion } from "./resource.ts";

const eventFields: readonly (readonly [string, string])[] = [
  ["note", "message"],
  ["regarding", "involvedObject"],
  ["reportingController", "reportingComponent"],
  ["deprecatedSource", "source"],
  ["deprecatedFirstTimestamp", "firstTimestamp"],
  ["deprecatedLastTimestamp", "lastTimestamp"],
  ["deprecatedCount", "count"],
];

function renamed(
  object: ApiObject,
  apiVersion: string,
  names: readonly (readonly [string, string])[],
): ApiObject {
  const { apiVersion: _version, ...rest } = object;
  const made: ApiObject = { ...rest, apiVersion };
  for (const [from, to] of names) {
    const value = fieldOf(object, from);
    delete made[from];
    if (value !== undefined) made[to] = value;
  }
  return made;
}

/** `events.k8s.io/v1` Events are the core's with other names for some fields. */
export const coreEvent: Conversion = {
  toStored: (event) => renamed(event, "v1", eventFields),
  fromStored: (event) =>
    renamed(
      event,
      "events.k8s.io/v1",
      eventFields.map(([own, core]) => [core, own] as const),
    ),
};

const metricsKey = "autoscaling.alpha.kubernetes.io/metrics";
const behaviorKey = "autoscaling.alpha.kubernetes.io/behavior";

/** `autoscaling/v1` has the CPU target as a number; what else v2 can say is kept in annotations. */
export const autoscalerV1: Conversion = {
  toStored(v1) {
    const { targetCPUUtilizationPercentage: cpu, ...spec } = objectAt(v1, "spec");
    const { currentCPUUtilizationPercentage: current, ...status } = objectAt(v1, "status");
    const { [metricsKey]: others, [behaviorKey]: behavior, ...annotations } = v1.metadata.annotations ?? {};
    const metrics = [
      ...readAnnotation(others),
      ...(typeof cpu === "number" ? [cpuMetric("target", cpu)] : []),
    ];
    const [kept] = readAnnotation(behavior === undefined ? undefined : `[${behavior}]`);
    return {
      ...v1,
      apiVersion: "autoscaling/v2",
      metadata: withAnnotations(v1, annotations),
      spec: {
        ...spec,
        ...(metrics.length === 0 ? {} : { metrics }),
        ...(kept === undefined ? {} : { behavior: kept }),
      },
      status: {
        desiredReplicas: 0,
        ...status,
        currentMetrics: typeof current === "number" ? [cpuMetric("current", current)] : null,
      },
    };
  },
  fromStored(v2) {
    const { metrics, behavior, ...spec } = objectAt(v2, "spec");
    const { currentMetrics, conditions: _conditions, ...status } = objectAt(v2, "status");
    const list = listAt({ metrics }, "metrics");
    const cpu = list.find(isCpu);
    const others = list.filter((metric) => metric !== cpu);
    const target = numberAt(cpu, "resource", "target", "averageUtilization");
    const current = listAt({ currentMetrics }, "currentMetrics").find(isCpu);
    const utilization = numberAt(current, "resource", "current", "averageUtilization");
    return {
      ...v2,
      apiVersion: "autoscaling/v1",
      metadata: withAnnotations(v2, {
        ...v2.metadata.annotations,
        ...(others.length === 0 ? {} : { [metricsKey]: JSON.stringify(others) }),
        ...(behavior === undefined ? {} : { [behaviorKey]: JSON.stringify(behavior) }),
      }),
      spec: { ...spec, ...(target === undefined ? {} : { targetCPUUtilizationPercentage: target }) },
      status: {
        currentReplicas: 0,
        ...status,
        ...(utilization === undefined ? {} : { currentCPUUtilizationPercentage: utilization }),
      },
    };
  },
};

function withAnnotations(
  { metadata }: ApiObject,
  annotations: Record<string, string>,
): ApiObject["metadata"] {
  const { annotations: _old, ...rest } = metadata;
  return Object.keys(annotations).length === 0 ? rest : { ...rest, annotations };
}

function cpuMetric(field: "target" | "current", averageUtilization: number): JsonObject {
  const value = field === "target" ? { type: "Utilization", averageUtilization } : { averageUtilization };
  return { type: "Resource", resource: { name: "cpu", [field]: value } };
}

function isCpu(metric: unknown): boolean {
  const resource = objectAt(metric, "resource");
  return resource.name === "cpu" && fieldOf(metric, "type") === "Resource";
}

function readAnnotation(text: string | undefined): JsonObject[] {
  if (text === undefined) return [];
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.filter(isObject) : [];
  } catch {
    return [];
  }
}
