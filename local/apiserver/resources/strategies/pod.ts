import { required } from "../../field-errors.ts";
import {
  ensureObject,
  equalJson,
  isObject,
  type JsonObject,
  listAt,
  numberAt,
  setDefault,
  textAt,
} from "../../json.ts";
import { type ApiObject, timestamp } from "../../object.ts";
import type { FieldError } from "../../status.ts";
import type { Strategy } from "../resource.ts";

/** Defaults of a pod's spec, in pods and in every template. Changes `spec` in place. */
export function setPodSpecDefaults(spec: JsonObject): void {
  setDefault(spec, "restartPolicy", "Always");
  setDefault(spec, "terminationGracePeriodSeconds", 30);
  setDefault(spec, "dnsPolicy", "ClusterFirst");
  setDefault(spec, "securityContext", {});
  setDefault(spec, "schedulerName", "default-scheduler");
  if (spec.serviceAccountName === undefined && typeof spec.serviceAccount === "string") {
    spec.serviceAccountName = spec.serviceAccount;
  }
  if (typeof spec.serviceAccountName === "string" && spec.serviceAccountName !== "") {
    setDefault(spec, "serviceAccount", spec.serviceAccountName);
  }
  for (const field of ["initContainers", "containers", "ephemeralContainers"]) {
    for (const container of listAt(spec, field)) if (isObject(container)) setContainerDefaults(container);
  }
  for (const volume of listAt(spec, "volumes")) if (isObject(volume)) setVolumeDefaults(volume);
}

function setContainerDefaults(container: JsonObject): void {
  setDefault(container, "terminationMessagePath", "/dev/termination-log");
  setDefault(container, "terminationMessagePolicy", "File");
  const image = textAt(container, "image") ?? "";
  const tag = /:([^:/@]+)$/.exec(image)?.[1];
  const pinned = image.includes("@") || (tag !== undefined && tag !== "latest");
  setDefault(container, "imagePullPolicy", pinned ? "IfNotPresent" : "Always");
  setDefault(container, "resources", {});
  for (const port of listAt(container, "ports")) if (isObject(port)) setDefault(port, "protocol", "TCP");
  for (const variable of listAt(container, "env")) {
    const reference =
      isObject(variable) && isObject(variable.valueFrom) ? variable.valueFrom.fieldRef : undefined;
    if (isObject(reference)) setDefault(reference, "apiVersion", "v1");
  }
  for (const name of ["livenessProbe", "readinessProbe", "startupProbe"]) {
    const probe = container[name];
    if (isObject(probe)) setProbeDefaults(probe);
  }
}

function setProbeDefaults(probe: JsonObject): void {
  setDefault(probe, "timeoutSeconds", 1);
  setDefault(probe, "periodSeconds", 10);
  setDefault(probe, "successThreshold", 1);
  setDefault(probe, "failureThreshold", 3);
  if (isObject(probe.httpGet)) {
    setDefault(probe.httpGet, "path", "/");
    setDefault(probe.httpGet, "scheme", "HTTP");
  }
}

function setVolumeDefaults(volume: JsonObject): void {
  for (const source of ["configMap", "secret", "projected", "downwardAPI"]) {
    const value = volume[source];
    if (isObject(value)) setDefault(value, "defaultMode", 420);
  }
  for (const source of listAt(volume, "projected", "sources")) {
    const token = isObject(source) ? source.serviceAccountToken : undefined;
    if (isObject(token)) setDefault(token, "expirationSeconds", 3600);
  }
  const sources = Object.keys(volume).filter((field) => field !== "name");
  if (sources.length === 0) volume.emptyDir = {};
}

/** Faults of a pod's spec that would make it unrunnable. `path` is where the spec stands. */
export function validatePodSpec(spec: unknown, path: string): FieldError[] {
  const containers = listAt(spec, "containers");
  if (containers.length === 0) return [required(`${path}.containers`)];
  return containers.flatMap((container, index) => {
    const at = `${path}.containers[${index}]`;
    const faults: FieldError[] = [];
    if ((textAt(container, "name") ?? "") === "") faults.push(required(`${at}.name`));
    if ((textAt(container, "image") ?? "") === "") faults.push(required(`${at}.image`));
    return faults;
  });
}

export const podStrategy: Strategy = {
  setDefaults(pod) {
    const spec = ensureObject(pod, "spec");
    setPodSpecDefaults(spec);
    setDefault(spec, "enableServiceLinks", true);
  },
  admit(pod) {
    const spec = ensureObject(pod, "spec");
    setDefault(spec, "serviceAccountName", "default");
    setDefault(spec, "serviceAccount", spec.serviceAccountName);
    setDefault(spec, "preemptionPolicy", "PreemptLowerPriority");
    setDefault(spec, "priority", 0);
  },
  prepareForCreate(pod) {
    pod.status = { phase: "Pending", qosClass: qosClass(pod) };
  },
  prepareForUpdate(pod, old) {
    pod.status = old.status;
  },
  validate: (pod, old) => (old === undefined ? validatePodSpec(pod.spec, "spec") : validateUpdate(pod, old)),
  gracePeriod(pod, asked) {
    const unassigned = (textAt(pod, "spec", "nodeName") ?? "") === "";
    const phase = textAt(pod, "status", "phase");
    if (unassigned || phase === "Succeeded" || phase === "Failed") return 0;
    return Math.max(0, asked ?? numberAt(pod, "spec", "terminationGracePeriodSeconds") ?? 30);
  },
  answersDeleted: true,
  countsGeneration: false,
};

function validateUpdate(pod: ApiObject, old: ApiObject): FieldError[] {
  if (equalJson(fixedSpec(pod), fixedSpec(old))) return [];
  return [
    {
      type: "FieldValueForbidden",
      field: "spec",
      message:
        "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
    },
  ];
}

/** What of a pod's spec may not change. */
function fixedSpec(pod: ApiObject): unknown {
  if (!isObject(pod.spec)) return undefined;
  const { tolerations: _t, activeDeadlineSeconds: _d, nodeName: _n, ...rest } = pod.spec;
  const withoutImages = (list: unknown) =>
    Array.isArray(list) ? list.map((item) => (isObject(item) ? { ...item, image: "" } : item)) : list;
  return {
    ...rest,
    containers: withoutImages(rest.containers),
    initContainers: withoutImages(rest.initContainers),
  };
}

function qosClass(pod: ApiObject): string {
  const containers = [...listAt(pod, "spec", "containers"), ...listAt(pod, "spec", "initContainers")];
  const anyResources = containers.some((container) => {
    const resources = isObject(container) ? container.resources : undefined;
    return isObject(resources) && (isObject(resources.requests) || isObject(resources.limits));
  });
  if (!anyResources) return "BestEffort";
  const guaranteed = containers.every((container) => {
    const resources = isObject(container) ? container.resources : undefined;
    if (!isObject(resources) || !isObject(resources.limits)) return false;
    const { limits } = resources;
    if (limits.cpu === undefined || limits.memory === undefined) return false;
    return resources.requests === undefined || equalJson(resources.requests, limits);
  });
  return guaranteed ? "Guaranteed" : "Burstable";
}

/** The PodScheduled condition that binding to a node sets. */
export function scheduledCondition(now: number): JsonObject {
  return { type: "PodScheduled", status: "True", lastProbeTime: null, lastTransitionTime: timestamp(now) };
}
